// Statements are given as `formatQuerySingleLine` writes them; clickhouse.int.test.ts gives the engine the same as people write them.
import { describe, expect, it } from 'vitest';
import { isFault } from '../../schemas/index.js';
import { checkReadOnly } from './guard.js';

const refusal = (statement: string): string | undefined => {
  try {
    checkReadOnly(statement);
    return undefined;
  } catch (error) {
    return isFault(error, 'terminal') && error.code === 'query_refused' ? error.message : `another error: ${String(error)}`;
  }
};

describe('the guard of statements', () => {
  it.each([
    'SELECT 1',
    'WITH x AS (SELECT 1) SELECT * FROM x',
    '(SELECT 1) UNION ALL (SELECT 2)',
    '((SELECT 1))',
    'EXPLAIN SELECT * FROM dats.events',
    'SHOW TABLES FROM dats',
    'DESCRIBE TABLE dats.events',
    'EXISTS TABLE dats.events',
    "SELECT 'INTO OUTFILE \\'/tmp/x\\''",
    "SELECT 'file(', `file` FROM (SELECT 1 AS `file`)",
    "SELECT 'it\\'s file(', 1",
    'SELECT `a``file(` FROM t',
    "SELECT artifact_paths FROM dats.provenance WHERE has(artifact_paths, 'FORMAT x')",
    'SELECT profile(1)',
    'SELECT t.url FROM t',
    'SELECT `x FORMAT CSV` FROM t',
    "SELECT * FROM dats.events WHERE data LIKE '%KILL%'",
  ])('lets pass: %s', (statement) => expect(refusal(statement)).toBeUndefined());

  it.each([
    'INSERT INTO dats.events SELECT * FROM dats.events',
    'DROP TABLE dats.events',
    'ALTER TABLE dats.events DELETE WHERE 1',
    'DELETE FROM dats.events WHERE 1',
    'KILL QUERY WHERE 1 ASYNC',
    'USE dats',
    'SET readonly = 0',
    'SYSTEM SHUTDOWN',
    'OPTIMIZE TABLE dats.events',
    'CREATE TABLE t (a UInt8) ENGINE = Memory',
    'ATTACH TABLE t',
    'BACKUP TABLE t TO Null',
    'selectx',
    '',
  ])('runs nothing but reading: %s', (statement) => expect(refusal(statement)).toMatch(/^only statements that read/));

  it.each([
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO OUTFILE '/tmp/x' APPEND",
    "SHOW DATABASES INTO OUTFILE '/tmp/x'",
    "SELECT '\\'' INTO OUTFILE '/tmp/x'",
    "SELECT `'` FROM t INTO OUTFILE '/tmp/x'",
    "SELECT '`', 1 INTO OUTFILE '/tmp/`'",
  ])('writes no file: %s', (statement) => expect(refusal(statement)).toMatch(/^INTO OUTFILE/));

  it.each([
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM FILE('/etc/passwd')",
    "SELECT * FROM `file`('/etc/passwd')",
    "SELECT file('/etc/hostname')",
    "WITH x AS (SELECT * FROM file('/etc/passwd')) SELECT * FROM x",
    "DESCRIBE TABLE file('/etc/passwd')",
    "EXPLAIN SELECT * FROM file('/etc/passwd')",
    "SELECT '\\\\', file('/etc/passwd')",
    "SELECT '\\'', file('x'), '\\''",
    "SELECT `'`, file('x'), `'` FROM t",
    'SELECT catboostEvaluate(1, 2)',
    "SELECT aiGenerate('x')",
    "SELECT * FROM url('http://h/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://h/b', 'CSV')",
    "SELECT * FROM remote('h', 'd', 't')",
    "SELECT * FROM sqlite('/tmp/x', 't')",
    "SELECT * FROM executable('ls', 'TSV', 'a String')",
  ])('reaches outside the tables nowhere: %s', (statement) => expect(refusal(statement)).toMatch(/^the function \w+ is not run here/));

  it('the form of the answer is ours', () => {
    expect(refusal('SELECT 1 FORMAT CSV')).toMatch(/^leave FORMAT out/);
    expect(refusal("SELECT 'a' FORMAT Null")).toMatch(/^leave FORMAT out/);
  });
});
