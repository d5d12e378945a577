// The audit of history on the real engine: what is in the tables is what the log says, and one row that is not is found and named.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIFECYCLE, partitionOf, type RowDifference, type VerifyReport, verifyReportSchema } from '../../../schemas/index.js';
import { dropAll } from '../../../streams/clickhouse/index.js';
import type { Analytics, Log, Outgoing, ViewStore } from '../../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../../streams/memory/index.js';
import { append, caughtUp } from '../history/testing/catching-up.js';
import { cleanUp, openEmbedded } from '../history/testing/engine.js';
import { type Ingester, startIngester } from '../history/testing/ingester.js';
import { script } from '../history/testing/script.js';
import { materialise } from '../materialise.js';
import { append as appendEvents, hasAll, histories, randomOf } from '../testing/histories.js';
import { verifyProject } from './verify.js';

const SEED = Number(process.env['DATS_SEED'] ?? Date.now() % 1_000_000);
const PARTITIONS = 2;
const PROJECT = 'north';
const PARTITION = partitionOf(PROJECT, PARTITIONS);
const OF_PROJECT = `project_id = '${PROJECT}' AND topic = '${LIFECYCLE}'`;
const EVENTS = 'dats.events';

describe('the audit of history on the real engine', () => {
  let log: Log;
  let views: ViewStore;
  let store: Analytics;
  let random: () => number;
  let ingester: Ingester;
  beforeEach(async () => {
    console.log(`verify: DATS_SEED=${SEED}`);
    random = randomOf(SEED);
    log = openMemoryLog({ partitions: PARTITIONS });
    views = openMemoryViewStore();
    store = openEmbedded();
    await log.join('views', [LIFECYCLE], (assignment) => materialise(assignment, { log, views }));
    ingester = await startIngester(log, store);
  });
  afterEach(async () => {
    await log.close();
    await cleanUp();
  });

  const verify = async (project = PROJECT, analytics = store): Promise<VerifyReport> =>
    verifyReportSchema.parse(await verifyProject({ log, views, analytics }, project, new AbortController().signal));
  const filled = async (tasks = 80): Promise<void> => {
    await append(log, script({ tasks, random }).records);
    await caughtUp(log, store);
    await expect.poll(() => hasAll(log, views)).toBe(true);
  };
  /** Changes rows, and waits until they are. */
  const alter = (table: string, statement: string): Promise<void> =>
    store.command(`ALTER TABLE ${table} ${statement} SETTINGS mutations_sync = 2`);
  /** Inserts the row of a record once more, changed or not. */
  const copy = (offset: number, change = ''): Promise<void> =>
    store.command(
      `INSERT INTO ${EVENTS} SETTINGS insert_deduplicate = 0 SELECT * ${change} FROM (SELECT * FROM ${EVENTS} WHERE ${OF_PROJECT} AND offset = ${offset} LIMIT 1)`,
    );
  /** Offset of the nth record of some type, of the project or of what is said. */
  const offsetOf = async (type: string, nth: number, of = OF_PROJECT): Promise<number> => {
    const [row] = await store.query<{ offset: number }>(
      `SELECT offset FROM ${EVENTS} WHERE ${of} AND topic = '${LIFECYCLE}' AND type = '${type}' ORDER BY offset LIMIT 1 OFFSET ${nth}`,
    );
    return row!.offset;
  };
  const wrongTables = ({ history }: VerifyReport): readonly string[] =>
    history.tables.filter(({ expected, found }) => expected !== found).map(({ table, expected, found }) => `${table} ${found - expected}`);

  test('all is equal after it was brought, for every project, and the numbers say of how much', async () => {
    await filled(300);
    const rows: number[] = [];
    for (const project of ['north', 'red', 'green', 'alpha', 'beta', 'blue']) {
      const { ok, history, events } = await verify(project);
      expect(history).toMatchObject({ state: 'compared', differences: 0, different: [], rows: events });
      expect(history.tables.map(({ table }) => table)).toEqual([
        'dats.provenance',
        'dats.artifacts',
        'dats.artifact_edges',
        'dats.artifact_edges_up',
        'dats.artifact_marks',
        'dats.execution_minutes',
        'dats.project_days',
      ]);
      expect(wrongTables({ history } as VerifyReport)).toEqual([]);
      expect(ok).toBe(true);
      rows.push(history.rows);
    }
    const ends = await Promise.all([0, 1].map((partition) => log.range(LIFECYCLE, partition)));
    expect(rows.reduce((a, b) => a + b)).toBe(ends.reduce((sum, { end }) => sum + end, 0));
    const { tables } = (await verify()).history;
    expect(tables.filter(({ table }) => table !== 'dats.artifact_marks').every(({ found }) => found > 0)).toBe(true);
  });

  test('also with marks of artifacts, and with records that are no events, or hold what no column takes', async () => {
    const bend = (record: Outgoing, headers: Record<string, string>, value: string = String(record.value)): Outgoing => ({
      topic: LIFECYCLE,
      key: PROJECT,
      headers: { ...record.headers, projectid: PROJECT, ...headers },
      value,
    });
    const [record] = script({ tasks: 1, random, name: 'bent' }).records;
    const failed = (message: string, attempt = 1): Outgoing =>
      bend(
        record!,
        { type: 'dats.task.attempt.failed', dataschema: 'urn:dats:task.attempt.failed:1', source: '/deciders/x' },
        JSON.stringify({ task_id: 'bent', attempt, stage: 'qa', error: { code: 'c', message, retryable: false } }),
      );
    await append(log, [
      failed('\u0000\u001f\u2028 \\ \' " / {x:String} \u{1F600}'),
      failed(`cut in the middle of a character: ${'😀'.slice(0, 1)}`),
      failed('many', 70_000),
      bend(record!, { time: '2026-99-99T99:99:99.000Z' }),
      bend(record!, { time: '2026-01-01T00:00:00+14:00', correlationid: 'a\nb\tc' }),
      bend(record!, { type: 'dats.task.sung' }, 'la la la'),
      bend(record!, {}, '{"not": "whole"'),
      { topic: LIFECYCLE, key: PROJECT, headers: { projectid: PROJECT }, value: Uint8Array.of(0, 255, 254) },
    ]);
    await appendEvents(log, histories(40, random, 'marked'));
    await filled(20);
    const { ok, history, views: shown } = await verify();
    expect([history.different, shown.different]).toEqual([[], []]);
    expect(ok).toBe(true);
    expect(history.tables.find(({ table }) => table === 'dats.artifact_marks')!.found).toBeGreaterThan(0);
  });

  test('a row that is changed in one column is found and named, with both values', async () => {
    await filled();
    const changes: readonly (readonly [column: string, type: string, to: string])[] = [
      ['model', 'dats.task.output.created', "'another'"],
      ['artifact_bytes', 'dats.task.output.created', 'arrayMap(n -> n + 1, artifact_bytes)'],
      ['data', 'dats.task.analyzed', "concat(data, ' ')"],
      ['task_created_at', 'dats.task.ready', 'task_created_at + INTERVAL 1 SECOND'],
      ['score', 'dats.task.validated', 'NULL'],
      ['cost_usd', 'dats.task.created', '0.000000001'],
      ['scripted', 'dats.task.created', 'NOT scripted'],
    ];
    const wanted: Partial<RowDifference>[] = [];
    for (const [i, [column, type, to]] of changes.entries()) {
      // The next of its type: a random history has few of some.
      const nth = changes.slice(0, i).filter(([, other]) => other === type).length;
      const offset = await offsetOf(type, nth);
      await alter(EVENTS, `UPDATE ${column} = ${to} WHERE ${OF_PROJECT} AND offset = ${offset}`);
      wanted.push({ partition: PARTITION, offset, type, what: 'changed', column });
    }
    const { ok, history, views: shown } = await verify();
    expect([ok, history.differences, shown.differences]).toEqual([false, changes.length, 0]);
    const byOffset = (one: Partial<RowDifference>, other: Partial<RowDifference>): number => one.offset! - other.offset!;
    expect(history.different).toEqual(
      wanted.sort(byOffset).map((one) => ({ ...one, expected: expect.any(String), found: expect.any(String) })),
    );
    for (const { expected, found } of history.different) expect(found).not.toBe(expected);
    expect(history.different.find(({ column }) => column === 'model')).toMatchObject({ found: 'another' });
    expect(history.different.find(({ column }) => column === 'score')).toMatchObject({ expected: '1', found: 'null' });
    expect((await verify('red')).ok).toBe(true);
  });

  test('a row that is deleted, doubled, or of no record is found and named, and so are the tables that were made of it', async () => {
    await filled();
    const [gone, twice, made] = [
      await offsetOf('dats.task.completed', 0),
      await offsetOf('dats.task.validated', 1),
      await offsetOf('dats.task.analyzed', 2),
    ];
    await alter(EVENTS, `DELETE WHERE ${OF_PROJECT} AND offset = ${gone}`);
    await copy(twice);
    const { end } = await log.range(LIFECYCLE, PARTITION);
    const taken = await offsetOf('dats.task.ready', 0, `project_id != '${PROJECT}' AND partition = ${PARTITION}`);
    for (const change of [`${end + 5} AS offset`, `${1 - PARTITION} AS partition`, `${taken} AS offset`])
      await copy(made, `REPLACE (${change})`);
    const report = await verify();
    const named = report.history.different.map(({ partition, offset, what }) => `${partition}/${offset} ${what}`);
    expect(new Set(named)).toEqual(
      new Set([
        `${PARTITION}/${gone} missing`,
        `${PARTITION}/${twice} doubled`,
        `${PARTITION}/${end + 5} extra`,
        `${1 - PARTITION}/${made} extra`,
        `${PARTITION}/${taken} extra`,
      ]),
    );
    expect(named).toHaveLength(5);
    expect(wrongTables(report)).toEqual(['dats.provenance 1', 'dats.execution_minutes 1', 'dats.project_days 2']);
    expect([report.ok, report.history.differences]).toEqual([false, 8]);
    expect((await verify('red')).ok).toBe(true);
  });

  test('rows that are gone from the tables that are made of the events are counted', async () => {
    await filled();
    const tables = ['dats.provenance', 'dats.artifacts', 'dats.artifact_edges_up', 'dats.project_days'];
    for (const table of tables) await alter(table, `DELETE WHERE ${OF_PROJECT}`);
    const { ok, history } = await verify();
    expect([ok, history.different, history.differences]).toEqual([false, [], tables.length]);
    const wrong = history.tables.filter(({ expected, found }) => expected !== found);
    expect(wrong.map(({ table, found }) => [table, found])).toEqual(tables.map((table) => [table, 0]));
  });

  test('history that is behind the log is compared as far as it is, and that is no error', async () => {
    await filled(40);
    await ingester.membership.leave();
    const { end } = await log.range(LIFECYCLE, PARTITION);
    await append(log, script({ tasks: 40, random, name: 'later' }).records);
    await expect.poll(() => hasAll(log, views)).toBe(true);
    const { ok, history, views: shown, events } = await verify();
    expect(history).toMatchObject({ state: 'compared', up_to: end, differences: 0 });
    expect(shown.up_to).toBeGreaterThan(end);
    expect(history.rows).toBeLessThan(events);
    expect(ok).toBe(true);
  });

  test('while history is brought, and brought again from the first record, nothing is called different', async () => {
    await filled(60);
    const { records } = script({ tasks: 400, random, name: 'more' });
    let done = false;
    const writing = (async () => {
      for (let i = 0; i < records.length; i += 50) {
        await log.append(records.slice(i, i + 50));
        if (i === 500) await dropAll(store);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await caughtUp(log, store);
      done = true;
    })();
    const states = new Set<string>();
    let looks = 0;
    while (!done) {
      const { history, views: shown } = await verify();
      expect([history.different, shown.different]).toEqual([[], []]);
      expect(history.differences).toBe(0);
      states.add(history.state);
      looks += 1;
    }
    await writing;
    expect(looks).toBeGreaterThan(1);
    expect((await verify()).ok).toBe(true);
  });

  test('a store that is away is said to be away, and that is not ok', async () => {
    await filled(20);
    await ingester.membership.leave();
    await dropAll(store);
    const { ok, history, views: shown } = await verify();
    expect(history).toMatchObject({ state: 'unavailable', rows: 0, why_not: expect.any(String) });
    expect([ok, shown.differences]).toEqual([false, 0]);
  });
});
