// The adapter on the real embedded engine: its processes, its migrations, and what other people's statements can reach.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Analytics } from '../index.js';
import { dropAll, migrate, openClickhouse, readMigrations } from './index.js';

const ENGINE = fileURLToPath(new URL('../../dist/streams/clickhouse/engine/main.js', import.meta.url));
const MIGRATIONS = fileURLToPath(new URL('../../deploy/clickhouse', import.meta.url));
const LIMITS = { timeoutMs: 5_000, rows: 1_000, memoryBytes: 512 * 1024 * 1024 };
const WITHIN = { timeout: 20_000, interval: 10 };

describe('the embedded engine', () => {
  let dir: string;
  const stores: Analytics[] = [];
  const open = (): Analytics => {
    const store = openClickhouse({ embedded: { dir: join(dir, 'clickhouse'), limits: LIMITS, engine: ENGINE } });
    stores.push(store);
    return store;
  };
  const engines = (): number[] =>
    execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
      .split('\n')
      .filter((line) => line.includes('engine/main.js') && line.includes(dir))
      .map((line) => Number(line.trim().split(/\s/, 1)[0]));
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'dats-clickhouse-'));
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  });

  test('that is killed in the middle of its start is started again: only a machine without an engine is hopeless (B3)', async () => {
    const answer = open().query('SELECT 1 AS one');
    answer.catch(() => undefined);
    const killed = new Set<number>();
    while (killed.size < 3) {
      const pid = await vi.waitUntil(() => engines().find((one) => !killed.has(one)), WITHIN);
      process.kill(pid, 'SIGKILL');
      killed.add(pid);
    }
    expect(await answer).toEqual([{ one: 1 }]);
  });

  test('that cannot run says so at once, every time', async () => {
    const broken = join(dir, 'broken.mjs');
    writeFileSync(broken, "throw new Error('no build of it for this machine');");
    const store = openClickhouse({ embedded: { dir: join(dir, 'clickhouse'), limits: LIMITS, engine: broken } });
    stores.push(store);
    for (let i = 0; i < 2; i++) await expect(store.query('SELECT 1')).rejects.toMatchObject({ kind: 'retryable', code: 'no_engine' });
  });

  test('is one for all that share its folder, and outlives neither its starter nor their patience', async () => {
    const [first, second] = [open(), open()];
    await first.query('SELECT 1 AS one');
    await second.query('SELECT 1 AS one');
    expect(engines()).toHaveLength(1);
    await first.close();
    stores.shift();
    expect(await second.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(engines()).toHaveLength(1);
  });

  test('an insert with a token that was there is dropped, in the table and in what views make of it', async () => {
    const store = open();
    await migrate(store, await readMigrations(MIGRATIONS));
    const line = JSON.stringify({
      topic: 't',
      offset: 1,
      type: 'dats.model.called',
      time: new Date().toISOString(),
      cost_usd: '0.000000001',
    });
    for (const token of ['a', 'a', 'b']) await store.insert('dats.events', line, token);
    const [row] = await store.query(
      'SELECT (SELECT count() FROM dats.events) AS events, (SELECT count() FROM dats.model_calls) AS calls, (SELECT sum(calls) FROM dats.call_minutes) AS minutes',
    );
    expect(row).toEqual({ events: 2, calls: 2, minutes: 2 });
  });

  describe('migrations', () => {
    test('of several processes at once all succeed, and agree on a generation', async () => {
      const files = await readMigrations(MIGRATIONS);
      const [a, b, c] = [open(), open(), open()];
      const done = await Promise.all([a, b, c].map((store) => migrate(store, files)));
      const again = await Promise.all([a, b, c].map((store) => migrate(store, files)));
      expect(done).toHaveLength(3);
      expect(again.map(({ applied }) => applied)).toEqual([[], [], []]);
      expect(new Set(again.map(({ generation }) => generation)).size).toBe(1);
      expect(await a.query('SELECT name FROM dats.migrations FINAL ORDER BY name')).toEqual(files.map(({ name }) => ({ name })));
    });

    test('a file that was changed after it was applied is refused, until all is made anew', async () => {
      const files = await readMigrations(MIGRATIONS);
      const store = open();
      const { generation } = await migrate(store, files);
      const changed = files.map((file, i) => (i === 2 ? { ...file, sha256: '0'.repeat(64) } : file));
      await expect(migrate(store, changed)).rejects.toMatchObject({ kind: 'terminal', code: 'migration_changed' });
      await dropAll(store);
      expect((await migrate(store, changed)).generation).not.toBe(generation);
    });

    test('a table that somebody dropped comes back with what later files added to it, in another generation', async () => {
      const files = [
        ...(await readMigrations(MIGRATIONS)),
        { name: '900_more.sql', statements: ["ALTER TABLE dats.events ADD COLUMN IF NOT EXISTS colour String DEFAULT 'red'"], sha256: 'x' },
      ];
      const store = open();
      const { generation } = await migrate(store, files);
      expect((await migrate(store, files)).generation).toBe(generation);
      await store.command('DROP TABLE dats.events SYNC');
      const again = await migrate(store, files);
      expect(again.generation).not.toBe(generation);
      await store.insert('dats.events', '{"topic": "t"}', 't');
      expect(await store.query('SELECT colour FROM dats.events')).toEqual([{ colour: 'red' }]);
    });

    test('a statement at fault is told, and nothing of its file is noted', async () => {
      const store = open();
      const bad = {
        name: '001_bad.sql',
        statements: ['CREATE TABLE IF NOT EXISTS dats.good (a UInt8) ENGINE = Memory', 'CREATE TABEL x'],
        sha256: 'x',
      };
      await expect(migrate(store, [bad])).rejects.toMatchObject({ kind: 'terminal', code: 'analytics_refused' });
      expect(await store.query('SELECT name FROM dats.migrations')).toEqual([]);
    });
  });

  test("other people's statements read the tables and reach nothing else, however they are written", async () => {
    const store = open();
    const secret = join(dir, 'secret.csv');
    const out = join(dir, 'out.csv');
    const base = join(dir, 'made.sqlite');
    writeFileSync(secret, 'secret,1\n');
    await store.command('CREATE TABLE IF NOT EXISTS default.mine (a UInt8) ENGINE = MergeTree ORDER BY a');
    await store.insert('default.mine', '{"a": 7}', 't');
    const refused = [
      `SELECT * FROM file('${secret}')`,
      `SELECT * FROM FiLe ('${secret}', CSV)`,
      `SELECT * FROM /* a */ file /* b */ ('${secret}')`,
      `SELECT * FROM \`file\`('${secret}')`,
      `SELECT * FROM "file"('${secret}')`,
      `SELECT * FROM '${secret}'`,
      `SELECT * FROM \`${secret}\``,
      `SELECT file('${secret}')`,
      `SELECT '\\'', file('${secret}')`,
      `DESCRIBE file('${secret}')`,
      `EXPLAIN SELECT * FROM file('${secret}')`,
      `WITH (SELECT file('${secret}')) AS x SELECT x`,
      `SELECT * FROM url('file://${secret}', 'CSV', 'a String, b UInt8')`,
      `SELECT * FROM sqlite('${base}', 't')`,
      `SELECT * FROM executable('cat', 'TSV', 'a String')`,
      `SELECT 1 INTO OUTFILE '${out}'`,
      `SELECT 1 into/**/outfile '${out}'`,
      `SELECT * FROM mine; DROP TABLE mine`,
      'INSERT INTO mine VALUES (1)',
      'DROP TABLE mine',
      'ALTER TABLE mine DELETE WHERE 1',
      'TRUNCATE mine',
      'SELECT 1 SETTINGS readonly = 0',
      'SET readonly = 0',
      'KILL QUERY WHERE 1',
      'SYSTEM FLUSH LOGS',
      'CREATE TABLE other (a UInt8) ENGINE = Memory',
      'SELECT 1 FORMAT CSV',
      '-- nothing',
      '',
    ];
    for (const statement of refused)
      expect([
        statement,
        await store.ask(statement, LIMITS).catch(({ kind, code }: { kind: string; code: string }) => `${kind} ${code}`),
      ]).toEqual([statement, 'terminal query_refused']);
    expect([existsSync(out), existsSync(base)]).toEqual([false, false]);
    expect((await store.ask("SELECT a, 'file(' AS s, `a` AS `INTO OUTFILE` FROM mine -- file(", LIMITS)).rows).toEqual([[7, 'file(', 7]]);
    expect((await store.ask('SHOW TABLES FROM default', LIMITS)).rows).toEqual([['mine']]);
  });

  test('a statement that asks too much ends within its limits, and the engine goes on', async () => {
    const store = open();
    const limits = { ...LIMITS, timeoutMs: 500 };
    const code = (statement: string) =>
      store.ask(statement, limits).then(
        () => 'answered',
        (error: { code: string }) => error.code,
      );
    expect(await code('SELECT number FROM numbers(1001)')).toBe('query_limit');
    expect(await code('SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1')).toBe('query_limit');
    expect(await code('SELECT uniqExact(number) FROM numbers(1000000000)')).toBe('query_limit');
    expect((await store.ask('SELECT 1', limits)).rows).toEqual([[1]]);
  });
});
