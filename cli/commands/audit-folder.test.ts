import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleLines, verifierOf, verifyHistory } from '../../processors/audit/index.js';
import { historyOf, KEY, PROJECT } from '../../processors/audit/testing/histories.js';
import { openBundleFolder, projectOf, writeBundleFolder } from './audit-folder.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-audit-folder-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const history = historyOf(20, 6);
const head = { vkey: KEY.vkey, origin: `dats/projects/${PROJECT}`, project: PROJECT };
const lines = () => bundleLines({ head, ...history });
async function* cut(count: number): AsyncGenerator<string> {
  for await (const line of lines()) {
    if (count-- === 0) return;
    yield line;
  }
}
async function* failing(error: unknown): AsyncGenerator<string> {
  yield* cut(9);
  throw error;
}
const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};

describe('a folder of a history', () => {
  it('holds what the stream held, and the scripts', async () => {
    writeFileSync(join(dir, 'verify.mjs'), 'look');
    const folder = join(dir, 'a', 'b');
    expect(await writeBundleFolder(folder, lines(), [join(dir, 'verify.mjs')])).toEqual({ ...head, events: 20, checkpoints: 3 });
    expect(readdirSync(folder).sort()).toEqual(['README.txt', 'checkpoints.jsonl', 'events.jsonl', 'key.vkey', 'verify.mjs']);
    const bundle = await openBundleFolder(folder);
    expect([bundle.vkey, await all(bundle.events()), await all(bundle.checkpoints())]).toEqual([
      KEY.vkey,
      history.events,
      history.checkpoints,
    ]);
    expect(await projectOf(bundle, verifierOf(KEY.vkey))).toBe(PROJECT);
  });

  it('is not begun where there is something, which stays as it is', async () => {
    writeFileSync(join(dir, 'mine'), 'x');
    await expect(writeBundleFolder(dir, lines())).rejects.toMatchObject({ code: 'bad_usage' });
    expect(readdirSync(dir)).toEqual(['mine']);
    await expect(writeBundleFolder(join(dir, 'mine', 'below'), lines())).rejects.toMatchObject({ code: 'bad_usage' });
  });

  it('leaves nothing behind where the stream was cut off, failed, or held nothing', async () => {
    const away = new Error('away');
    for (let count = 0; count < 24; count++)
      await expect(writeBundleFolder(join(dir, 'a/b'), cut(count))).rejects.toMatchObject({ code: 'bad_bundle' });
    await expect(writeBundleFolder(join(dir, 'a/b'), failing(away))).rejects.toBe(away);
    await expect(writeBundleFolder(join(dir, 'a/b'), bundleLines({ head, events: [], checkpoints: [] }))).rejects.toMatchObject({
      code: 'bad_usage',
    });
    expect(existsSync(join(dir, 'a'))).toBe(false);
    mkdirSync(join(dir, 'empty'));
    await expect(writeBundleFolder(join(dir, 'empty'), failing(away))).rejects.toBe(away);
    expect(readdirSync(join(dir, 'empty'))).toEqual([]);
  });

  it('while it is being written has no file under its name', async () => {
    const folder = join(dir, 'a');
    async function* watched(): AsyncGenerator<string> {
      for await (const line of lines()) {
        expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.half-/)]);
        yield line;
      }
    }
    await writeBundleFolder(folder, watched());
  });

  it('lines that are none are told, and are missing then', async () => {
    await writeBundleFolder(join(dir, 'a'), lines());
    const file = join(dir, 'a', 'events.jsonl');
    const text = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, text.map((line, n) => (n === 4 ? line.slice(1) : line)).join('\n'));
    const bundle = await openBundleFolder(join(dir, 'a'));
    const report = await verifyHistory({ project: PROJECT, events: bundle.events(), checkpoints: bundle.checkpoints(), vkey: KEY.vkey });
    expect(report.problems).toMatchObject([{ kind: 'missing', leaf: 4 }]);
    expect([...bundle.unreadable]).toEqual(['events.jsonl, line 5: not what such a line is']);
  });

  it.each(['key.vkey', 'events.jsonl', 'checkpoints.jsonl'])('without its %s is none', async (file) => {
    await writeBundleFolder(join(dir, 'a'), lines());
    rmSync(join(dir, 'a', file));
    await expect(openBundleFolder(join(dir, 'a'))).rejects.toMatchObject({ code: 'bad_usage', message: expect.stringContaining(file) });
  });
});
