import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadScript } from './script.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dats-script-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const write = async (name: string, text: string): Promise<string> => {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
};

describe('a script file', () => {
  it('is read as YAML or as JSON', async () => {
    const yaml = await write(
      'a.yaml',
      'version: 1\nrules:\n  - match: { task: slug }\n    answers:\n      - text: hi\n        latency_ms: 5\n',
    );
    const json = await write(
      'a.json',
      JSON.stringify({ version: 1, rules: [{ match: { task: 'slug' }, answers: [{ text: 'hi', latency_ms: 5 }] }] }),
    );
    const script = await loadScript(yaml);
    expect(script.rules[0]?.answers?.[0]).toMatchObject({ text: 'hi', latency_ms: 5, chunk_latency_ms: 0 });
    expect(await loadScript(json)).toEqual(script);
  });

  it.each([
    ['an unknown fail', 'version: 1\nrules:\n  - answers: [{ fail: explode }]\n', ['rules[0].answers[0].fail', 'hang']],
    ['a misspelt key', 'version: 1\nrules:\n  - answer: [{ text: a }]\n', ['rules[0]', 'answer']],
    ['neither kind of answers', 'version: 1\nrules:\n  - match: { task: a }\n', ['rules[0]', '`answers` or `by_tier`']],
    [
      'a broken regular expression',
      'version: 1\nrules:\n  - match: { regex: "(" }\n    answers: [{ text: a }]\n',
      ['rules[0].match.regex'],
    ],
    [
      'a path out of the folder',
      'version: 1\nrules:\n  - answers: [{ files: [{ path: ../a, content: b }] }]\n',
      ['rules[0].answers[0].files[0].path'],
    ],
    ['no YAML', 'version: 1\nrules: [\n', ['line', 'not YAML']],
    ['another version', 'version: 2\nrules: []\n', ['version']],
  ])('with %s names file, place and mend', async (name, text, parts) => {
    const file = await write(`${name.replaceAll(' ', '-')}.yaml`, text);
    const error = await loadScript(file).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'bad_script', kind: 'fatal' });
    for (const part of [file, ...parts]) expect((error as Error).message).toContain(part);
  });

  it('that is not there names file and mend', async () => {
    await expect(loadScript(join(folder, 'none.yaml'))).rejects.toMatchObject({
      code: 'bad_script',
      message: expect.stringMatching(/none\.yaml.*ENOENT.*servers\.yaml/),
    });
  });
});
