import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFiles } from './written-files.js';

let dir = '';
let out = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-files-'));
  out = join(dir, 'out');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const file = (path: string, text = 'new') => ({ path, bytes: Buffer.from(text) });

describe('writing artifacts', () => {
  it('makes folders as needed and says what it did', async () => {
    expect((await writeFiles(out, [file('a.txt'), file('deep/er/b.txt')])).map(({ what }) => what)).toEqual(['written', 'written']);
    expect(readFileSync(join(out, 'deep/er/b.txt'), 'utf8')).toBe('new');
    expect((await writeFiles(out, [file('a.txt'), file('deep/er/b.txt', 'newer')], true)).map(({ what }) => what)).toEqual([
      'unchanged',
      'replaced',
    ]);
  });

  it.each(['../evil', '/etc/evil', 'a/../../evil', 'a\\..\\evil', 'C:/evil', '', 'a//b', './a', 'a\u0000b'])(
    'refuses the path %j and writes nothing at all',
    async (path) => {
      await expect(writeFiles(out, [file('good.txt'), file(path)])).rejects.toMatchObject({ code: 'unsafe_path' });
      expect(readdirSync(dir)).toEqual([]);
    },
  );

  it('follows no symbolic link, neither as a folder nor as the file', async () => {
    const outside = join(dir, 'outside');
    mkdirSync(outside);
    mkdirSync(out);
    writeFileSync(join(outside, 'kept.txt'), 'kept');
    symlinkSync(outside, join(out, 'folder'));
    symlinkSync(join(outside, 'kept.txt'), join(out, 'link.txt'));
    symlinkSync(join(outside, 'not-there.txt'), join(out, 'dangling.txt'));
    for (const path of ['folder/new.txt', 'link.txt', 'dangling.txt'])
      await expect(writeFiles(out, [file(path)], true)).rejects.toMatchObject({
        code: 'unsafe_path',
        message: expect.stringContaining('symbolic link'),
      });
    expect(readdirSync(outside)).toEqual(['kept.txt']);
    expect(readFileSync(join(outside, 'kept.txt'), 'utf8')).toBe('kept');
  });

  it('keeps a file with other content unless told to replace it, and then writes none of the others', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'b.txt'), 'mine');
    await expect(writeFiles(out, [file('a.txt'), file('b.txt')])).rejects.toMatchObject({ code: 'file_exists' });
    expect(readdirSync(out)).toEqual(['b.txt']);
  });

  it('refuses a file where a folder is needed', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'a'), 'file');
    await expect(writeFiles(out, [file('a/b.txt')])).rejects.toMatchObject({ code: 'unsafe_path' });
  });
});
