import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publishedName, registrySchemas } from '../../streams/kafka/index.js';
import { runCli } from '../program.js';
import { keepIo } from '../testing.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-schemas-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const dats = async (...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> => {
  const io = keepIo({ cwd: dir });
  const code = await runCli(argv, io, { loadStartNode: () => Promise.reject(new Error('schemas starts no node')) });
  return { code, ...io.printed };
};

const NAMES = registrySchemas().map(publishedName);
const [NAME] = NAMES;

describe('dats schemas export', () => {
  it('writes a file for each version, and finds them again', async () => {
    const first = await dats('schemas', 'export', '--out', 'published', '--json');
    expect([first.code, JSON.parse(first.out)]).toEqual([0, { out: join(dir, 'published'), added: NAMES }]);
    expect(readdirSync(join(dir, 'published')).sort()).toEqual([...NAMES].sort());
    for (const schema of registrySchemas())
      expect(JSON.stringify(JSON.parse(readFileSync(join(dir, 'published', publishedName(schema)), 'utf8')))).toBe(schema.text);
    expect(await dats('schemas', 'export', '--out', 'published')).toMatchObject({ code: 0, out: `${NAMES.length} were there\n` });
  });

  it.each([
    ['that says something else', '{"title": "other"}'],
    ['that is no JSON', '{'],
  ])('never changes a file %s, nor adds others beside it', async (_what, text) => {
    writeFileSync(join(dir, NAME!), text);
    expect(await dats('schemas', 'export', '--out', '.')).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/[Rr]estore/) });
    expect([readdirSync(dir), readFileSync(join(dir, NAME!), 'utf8')]).toEqual([[NAME], text]);
  });
});

describe('dats schemas push and check', () => {
  it.each(['push', 'check'])(
    '%s: say that no registry is known (2), that the address is none (2), that it does not answer (3)',
    async (name) => {
      expect(await dats('schemas', name)).toMatchObject({ code: 2, err: expect.stringContaining('log.kafka.registry_url') });
      expect(await dats('schemas', name, '--registry', 'ftp://127.0.0.1')).toMatchObject({ code: 2, err: expect.stringContaining('http') });
      // Port 1 of this machine: nobody listens there.
      expect(await dats('schemas', name, '--registry', 'http://127.0.0.1:1')).toMatchObject({
        code: 3,
        out: '',
        err: expect.stringContaining('the schema registry at http://127.0.0.1:1 does not answer'),
      });
    },
  );
});
