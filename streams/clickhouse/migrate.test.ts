import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readMigrations, statementsOf } from './migrate.js';

describe('statements of a file', () => {
  it('end with a semicolon at the end of a line; comments and empty statements are none', () => {
    expect(statementsOf('-- what it is; really\nCREATE a;\n\n  -- another\nCREATE b\n(\n  -- within\n  x\n);  \n;\nCREATE c')).toEqual([
      'CREATE a',
      'CREATE b\n(\n\n  x\n)',
      'CREATE c',
    ]);
  });

  it('a semicolon within a line, in a literal or not, ends none', () => {
    expect(statementsOf("SELECT ';' AS a, '--x' AS b;\nSELECT 1; SELECT 2;")).toEqual([
      "SELECT ';' AS a, '--x' AS b",
      'SELECT 1; SELECT 2',
    ]);
  });

  it('lines may end as on Windows', () => {
    expect(statementsOf('CREATE a;\r\nCREATE b;\r\n')).toEqual(['CREATE a', 'CREATE b']);
  });

  it('a file of comments has none', () => expect(statementsOf('-- a;\n-- b\n')).toEqual([]));
});

describe('a folder of migrations', () => {
  const dirs: string[] = [];
  const folder = (files: Readonly<Record<string, string>>): string => {
    const dir = mkdtempSync(join(tmpdir(), 'dats-migrations-'));
    dirs.push(dir);
    for (const [name, sql] of Object.entries(files)) writeFileSync(join(dir, name), sql);
    return dir;
  };
  afterEach(() => {
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
  });

  it('is read in order of the numbers; other files are none', async () => {
    const dir = folder({
      '010_c.sql': 'C;',
      '002_b.sql': 'B;',
      '001_a.sql': 'A;',
      'README.md': 'x',
      'notes.sql': 'x',
      '001_a.sql.bak': 'x',
    });
    const read = await readMigrations(dir);
    expect(read.map(({ name, statements }) => [name, ...statements])).toEqual([
      ['001_a.sql', 'A'],
      ['002_b.sql', 'B'],
      ['010_c.sql', 'C'],
    ]);
    expect(new Set(read.map(({ sha256 }) => sha256)).size).toBe(3);
  });

  it('with a number twice is refused', async () => {
    await expect(readMigrations(folder({ '001_a.sql': 'A;', '001_b.sql': 'B;' }))).rejects.toMatchObject({
      kind: 'terminal',
      code: 'bad_migration',
    });
  });
});
