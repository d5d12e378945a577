// Other people's SQL on the embedded engine: what it must never do, and that the next statement is answered as if nothing had been.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem, QueryAnswer } from '../../schemas/index.js';
import { checkReadOnly } from '../../streams/clickhouse/index.js';
import { execution, type History, openHistory } from '../testing/history.js';
import { openWorld, type World } from '../testing/world.js';

const LIMITS = { timeoutMs: 700, rows: 1_000, memoryBytes: 128 * 1024 * 1024 };
let history: History;
let world: World;
let folder: string;
/** Whoever is reached from a statement is written down. */
let lure: Server;
let reached: string[];
let before: unknown;

/** Tables, their definitions and what is in them. */
const tables = async (): Promise<unknown> => {
  const made = await history.analytics.query(
    "SELECT database, name, create_table_query FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') ORDER BY database, name",
  );
  const rows = await history.analytics.query(
    'SELECT (SELECT count() FROM dats.events) AS events, (SELECT count() FROM dats.provenance) AS provenance, (SELECT count() FROM dats.migrations) AS migrations, (SELECT sum(cityHash64(*)) FROM dats.events) AS digest',
  );
  return { made, rows };
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dats-query-'));
  reached = [];
  lure = createServer((request, response) => {
    reached.push(`${request.method} ${request.url}`);
    response.end('1\n');
  });
  await new Promise<void>((resolve) => lure.listen(0, '127.0.0.1', resolve));
  history = await openHistory(LIMITS);
  const query = { timeout_ms: LIMITS.timeoutMs, rows: LIMITS.rows, memory_bytes: LIMITS.memoryBytes };
  world = await openWorld({ config: { version: 1, analytics: { query } }, history: { analytics: history.analytics } });
  await history.insert(...execution({ artifacts: { 'a.py': 'a1' } }));
  before = await tables();
});
afterAll(async () => {
  await world?.close();
  await history?.close();
  lure?.close();
  await rm(folder, { recursive: true, force: true });
});

const ask = async (
  sql: string,
  parameters?: unknown,
): Promise<{ status: number; body: QueryAnswer & Problem; retryAfter: string | null }> => {
  const response = await world.post('/api/v1/query', parameters === undefined ? { sql } : { sql, parameters });
  return {
    status: response.status,
    body: (await response.json()) as QueryAnswer & Problem,
    retryAfter: response.headers.get('retry-after'),
  };
};

/** Everything is as it was, and the next statements get their own answers, on each of the engine's sessions. */
const unharmed = async (): Promise<void> => {
  const next = await Promise.all([1, 2, 3, 4].map((n) => ask(`SELECT ${n} AS n, count() AS c FROM dats.events`)));
  expect(next.map(({ body }) => body.rows)).toEqual([1, 2, 3, 4].map((n) => [[n, 2]]));
  expect(await tables()).toEqual(before);
  expect(await readdir(folder)).toEqual([]);
  expect(reached).toEqual([]);
};

const port = (): number => (lure.address() as AddressInfo).port;
/** `$dir` and `$port` stand for the test's own folder and for its lure. */
const filled = (sql: string): string => sql.replaceAll('$dir', folder).replaceAll('$port', String(port()));

const REFUSED: readonly string[] = [
  // Other kinds of statement.
  "INSERT INTO dats.events (id) VALUES ('x')",
  "INSERT INTO dats.events (id) SELECT 'x'",
  "INSERT INTO FUNCTION file('$dir/x.csv', 'CSV', 'a Int8') VALUES (1)",
  "INSERT INTO FUNCTION url('http://127.0.0.1:$port/', 'CSV', 'a Int8') VALUES (1)",
  "WITH x AS (SELECT 1) INSERT INTO dats.migrations (name) SELECT 'x'",
  'DROP TABLE dats.events',
  'DROP DATABASE dats',
  'DROP TABLE dats.events PARALLEL WITH DROP TABLE dats.provenance',
  'TRUNCATE TABLE dats.events',
  'ALTER TABLE dats.events DELETE WHERE 1',
  'ALTER TABLE dats.events DROP COLUMN data',
  "UPDATE dats.events SET id = 'x' WHERE 1",
  'DELETE FROM dats.events WHERE 1',
  'CREATE TABLE dats.x (a Int8) ENGINE = Memory',
  'CREATE TABLE dats.x ENGINE = Memory AS SELECT 1 AS a',
  "CREATE TABLE dats.x (a String) ENGINE = File(CSV, '$dir/x.csv')",
  'CREATE TEMPORARY TABLE x (a Int8)',
  'CREATE DATABASE x',
  'CREATE VIEW dats.x AS SELECT 1',
  'CREATE FUNCTION x AS (a) -> a',
  "CREATE USER x IDENTIFIED BY 'x'",
  'CREATE NAMED COLLECTION x AS a = 1',
  'RENAME TABLE dats.events TO dats.e',
  'EXCHANGE TABLES dats.events AND dats.provenance',
  'ATTACH TABLE dats.x (a Int8) ENGINE = Memory',
  'DETACH TABLE dats.events',
  'UNDROP TABLE dats.events',
  'OPTIMIZE TABLE dats.events FINAL',
  'CHECK TABLE dats.events',
  'SET readonly = 0',
  'SET max_execution_time = 100',
  "SET PROFILE 'default'",
  'SET ROLE ALL',
  'USE dats',
  'SYSTEM FLUSH LOGS',
  'SYSTEM SHUTDOWN',
  'SYSTEM STOP MERGES',
  'KILL QUERY WHERE 1',
  'KILL MUTATION WHERE 1',
  'GRANT ALL ON *.* TO default',
  'REVOKE ALL ON *.* FROM default',
  "BACKUP TABLE dats.events TO File('$dir/b')",
  "RESTORE TABLE dats.events FROM File('$dir/b')",
  'BEGIN TRANSACTION',
  'EXECUTE AS default SELECT 1',
  // Several statements.
  'SELECT 1; DROP TABLE dats.events',
  'SELECT 1; SELECT 2',
  'SELECT 1;\n;DROP TABLE dats.events;',
  // Comments and quotes.
  '/* SELECT */ DROP /* 1 */ TABLE dats.events',
  '-- SELECT\nDROP TABLE dats.events',
  '#!SELECT 1\nDROP TABLE dats.events',
  'SELECT 1 /* unclosed',
  "SELECT 'unclosed",
  'SELECT `unclosed',
  'SELECT 1 AS `x`; DROP TABLE dats.events -- `',
  'SELECT $x$ ; $x$; DROP TABLE dats.events',
  // Files.
  "SELECT 1 INTO OUTFILE '$dir/evil.txt'",
  "SELECT 1 INTO/* */OUTFILE '$dir/evil.txt' TRUNCATE",
  "SELECT 1 into outfile '$dir/evil.txt' FORMAT CSV",
  "EXPLAIN SELECT 1 INTO OUTFILE '$dir/evil.txt'",
  "SHOW TABLES FROM dats INTO OUTFILE '$dir/evil.txt'",
  "DESCRIBE TABLE dats.events INTO OUTFILE '$dir/evil.txt'",
  "(SELECT 1) UNION ALL (SELECT 2) INTO OUTFILE '$dir/evil.txt'",
  "SELECT * FROM file('/etc/passwd', LineAsString)",
  "SELECT * FROM `file`('/etc/passwd', LineAsString)",
  'SELECT * FROM "file"(\'/etc/passwd\', LineAsString)',
  "SELECT file('/etc/passwd')",
  "SELECT 1 WHERE 'x' IN file('/etc/passwd', LineAsString)",
  "DESCRIBE TABLE file('/etc/passwd', LineAsString)",
  "WITH x AS (SELECT * FROM file('/etc/passwd', LineAsString)) SELECT * FROM x",
  "SELECT * FROM fileCluster('default', '/etc/passwd', LineAsString)",
  "SELECT * FROM filesystem('/etc')",
  "SELECT * FROM sqlite('$dir/x.db', 't')",
  "SELECT * FROM icebergLocal('$dir')",
  "SELECT * FROM deltaLakeLocal('$dir')",
  "SELECT * FROM eval('SELECT file(''/etc/passwd'')')",
  // The network, and other programs.
  "SELECT * FROM url('http://127.0.0.1:$port/x', LineAsString)",
  "SELECT * FROM url('http://127.0.0.1:$port/x')",
  "DESCRIBE TABLE url('http://127.0.0.1:$port/x', LineAsString)",
  "SELECT * FROM s3('http://127.0.0.1:$port/bucket/x.csv', 'CSV')",
  "SELECT * FROM s3('http://127.0.0.1:$port/bucket/x.csv', NOSIGN)",
  "SELECT * FROM gcs('http://127.0.0.1:$port/bucket/x.csv', NOSIGN)",
  "SELECT * FROM iceberg('http://127.0.0.1:$port/bucket/x', NOSIGN)",
  "SELECT * FROM deltaLake('http://127.0.0.1:$port/bucket/x', NOSIGN)",
  "SELECT * FROM hudi('http://127.0.0.1:$port/bucket/x', NOSIGN)",
  "SELECT * FROM azureBlobStorage('http://127.0.0.1:$port/x', 'c', 'x.csv', 'a', 'a2V5', 'CSV')",
  "SELECT * FROM remote('127.0.0.1:$port', dats.events)",
  "SELECT * FROM remoteSecure('127.0.0.1:$port', dats.events)",
  "SELECT * FROM cluster('default', dats.events)",
  "SELECT * FROM mysql('127.0.0.1:$port', 'a', 'b', 'c', 'd')",
  "SELECT * FROM postgresql('127.0.0.1:$port', 'a', 'b', 'c', 'd')",
  "SELECT * FROM mongodb('127.0.0.1:$port', 'a', 'b', 'c', 'd', 'x Int8')",
  "SELECT * FROM redis('127.0.0.1:$port', 'k', 'k String')",
  "SELECT * FROM hdfs('hdfs://127.0.0.1:$port/x', 'CSV', 'a String')",
  "SELECT * FROM jdbc('x', 'y')",
  "SELECT * FROM odbc('x', 'y')",
  "SELECT * FROM executable('touch $dir/x', TSV, 'a String')",
  "SELECT * FROM input('a String')",
  'SELECT * FROM python(x)',
  "SELECT * FROM dictionary('x')",
  // The form of the answer, and settings.
  'SELECT 1 FORMAT CSV',
  'SELECT 1 SETTINGS readonly = 0',
  'SELECT 1 SETTINGS max_execution_time = 100',
  'SELECT 1 SETTINGS max_result_rows = 1000000',
  'SELECT 1 SETTINGS max_memory_usage = 0',
  'EXPLAIN AST SELECT 1',
  'EXPLAIN AST DROP TABLE dats.events',
  // Not SQL.
  'SELEC 1',
  ';',
  ' ',
  'SELECT * FROM nothing_of_this_name',
  'SELECT {missing:String}',
];

describe('a statement that does anything but read here', () => {
  test.each(REFUSED)('%s', async (template) => {
    const { status, body } = await ask(filled(template));
    expect([status, body.type, body.retryable], body.detail).toEqual([422, '/problems/query-refused', false]);
    expect(body.detail.length).toBeLessThan(800);
    await unharmed();
  });
});

test('a recursion without an end comes to one: by its depth, or on a slow machine by its time', async () => {
  const { status, body } = await ask('WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count() FROM t');
  expect(status, body.detail).toBe(422);
  expect(['/problems/query-refused', '/problems/query-limit'], body.detail).toContain(body.type);
  await unharmed();
});

test('a value never becomes SQL, wherever its place is', async () => {
  const tricks = [
    "', file(concat(char(47), 'etc/hostname')) AS b -- ",
    ', file(concat(char(47),char(101),char(116),char(99))) AS b -- ',
    "\\'; DROP TABLE dats.events; --",
    '`',
    "' INTO OUTFILE '/tmp/x",
  ];
  for (const x of tricks) {
    expect((await ask('SELECT {x:String} AS a', { x })).body.rows).toEqual([[x]]);
    expect((await ask("SELECT '{x:String}' AS a", { x })).body.rows).toEqual([['{x:String}']]);
    expect((await ask('SELECT 1 AS `{x:String}`', { x })).body.columns).toEqual([{ name: '{x:String}', type: 'UInt8' }]);
    expect((await ask('SELECT /* {x:String} */ 1 AS a -- {x:String}', { x })).body.rows).toEqual([[1]]);
    expect((await ask('SELECT arrayJoin({x:Array(String)}) AS a', { x: [x, 'b'] })).body.rows).toEqual([[x], ['b']]);
  }
  await unharmed();
});

describe('a statement that asks for too much', () => {
  test.each([
    'SELECT count() FROM system.numbers',
    'SELECT sum(sipHash64(number)) FROM numbers(1000000000000)',
    'SELECT count() FROM numbers(1000000) AS a CROSS JOIN numbers(1000000) AS b WHERE sipHash64(a.number, b.number) = 1',
    'SELECT number FROM numbers(100000)',
    "SELECT * FROM generateRandom('a String')",
    'SELECT groupArray(number) FROM numbers(1000000000)',
    'SELECT groupArray(toString(number)) FROM numbers(100000000)',
    "SELECT repeat('x', 1000000000)",
    'SELECT arrayJoin(range(100000000))',
    'SELECT uniqExact(number) FROM numbers(1000000000)',
    'SELECT sleep(3)',
    'SELECT sleepEachRow(0.5) FROM numbers(6)',
  ])('%s', async (sql) => {
    const started = performance.now();
    const { status, body } = await ask(sql);
    expect([status, body.type], body.detail).toEqual([422, '/problems/query-limit']);
    expect(performance.now() - started).toBeLessThan(6_000);
    await unharmed();
  });

  test('by many at once: every one is answered, and then everybody else', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask('SELECT count() FROM system.numbers')));
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(422));
    await unharmed();
  });
});

describe('what is answered', () => {
  test.each<[string, readonly unknown[][], unknown?]>([
    ['SELECT 1 AS a;', [[1]]],
    ["SELECT 'a\\' ; DROP TABLE dats.events --' AS a", [["a' ; DROP TABLE dats.events --"]]],
    ["SELECT 'INTO OUTFILE FORMAT CSV file(' AS a", [['INTO OUTFILE FORMAT CSV file(']]],
    ['SELECT {n:UInt64} + 1 AS a', [[8]], { n: 7 }],
    ['SELECT toUInt64(18446744073709551615) AS a, toInt64(-5) AS b', [['18446744073709551615', -5]]],
    ["SELECT toDateTime64('2026-11-21 10:00:00.5', 3, 'UTC') AS a", [['2026-11-21T10:00:00.500Z']]],
    [
      'SELECT id FROM dats.events WHERE id IN {ids:Array(String)} ORDER BY id',
      [['end-t1-1'], ['out-t1-1']],
      { ids: ['end-t1-1', 'out-t1-1'] },
    ],
    ['(SELECT 1 AS a) UNION ALL (SELECT 1)', [[1], [1]]],
    ['EXISTS TABLE dats.events', [[1]]],
  ])('%s', async (sql, rows, parameters) => {
    const { status, body } = await ask(sql, parameters);
    expect([status, body.rows], body.detail).toEqual([200, rows]);
    expect(body).toMatchObject({ row_count: rows.length, elapsed_ms: expect.any(Number), rows_read: expect.any(Number) });
  });

  test('a long value fits', async () => {
    const x = 'ü'.repeat(20_000);
    expect((await ask('SELECT lengthUTF8({x:String}) AS n', { x })).body.rows).toEqual([[20_000]]);
  });

  test('bodies that do not fit say where', async () => {
    for (const body of [
      {},
      { sql: '' },
      { sql: 1 },
      { sql: 'SELECT 1', parameters: { 'a b': 1 } },
      { sql: 'SELECT 1', limit: 5 },
      { sql: 'SELECT 1', parameters: { x: 'y'.repeat(70_000) } },
    ])
      expect((await world.post('/api/v1/query', body)).status).toBe(422);
  });
});

/** Functions of the engine that make tables, and reach nothing: numbers, and views of what is here. */
const HARMLESS =
  /^(numbers(_mt)?|zeros(_mt)?|generate_?series|generateRandom|fuzz\w+|primes|values|SQLStandardValues|null|view\w*|merge\w*|format|timeSeries\w+|prometheus\w+)$/i;

test('every table function of this engine is known to be harmless, or refused by name', async () => {
  const { body } = await ask('SELECT name FROM system.table_functions ORDER BY name');
  const names = body.rows.map(([name]) => String(name));
  expect(names.length).toBeGreaterThan(50);
  const passed = names.filter((name) => {
    try {
      checkReadOnly(`SELECT * FROM ${name}('x')`);
      return !HARMLESS.test(name);
    } catch {
      return false;
    }
  });
  expect(passed).toEqual([]);
});

test('tables that are not there are said to be missing, with the time to come back', async () => {
  const empty = await openHistory();
  const other = await openWorld({ history: { analytics: empty.analytics } });
  try {
    await empty.analytics.command('DROP DATABASE dats SYNC');
    for (const response of [
      await other.post('/api/v1/query', { sql: 'SELECT count() FROM dats.events' }),
      await other.app.request('/api/v1/provenance'),
    ]) {
      expect([response.status, ((await response.json()) as Problem).type]).toEqual([503, '/problems/analytics-missing']);
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  } finally {
    await other.close();
    await empty.close();
  }
});
