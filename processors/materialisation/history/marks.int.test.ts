// What ClickHouse says of artifacts is what the views say: one rule, written twice (006_marks.sql and marks.ts).
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DataOf, derivedId, type EventType, LIFECYCLE } from '../../../schemas/index.js';
import { migrate, readMigrations } from '../../../streams/clickhouse/index.js';
import { type Analytics, eventOf as eventIn, type Log, outgoing } from '../../../streams/index.js';
import { openMemoryLog } from '../../../streams/memory/index.js';
import { eventOf } from '../../testing/index.js';
import { isMark, type TaskMarks, taintOf, withMark } from '../marks.js';
import { randomOf } from '../testing/histories.js';
import { caughtUp } from './testing/catching-up.js';
import { cleanUp, MIGRATIONS_DIR, openEmbedded } from './testing/engine.js';
import { startIngester } from './testing/ingester.js';
import { recordsOf } from './testing/tally.js';

const SEED = Number(process.env['DATS_SEED'] ?? Date.now() % 1_000_000);
const ARTIFACTS = 60;
const MARKS = 600;

let log: Log;
beforeEach(() => {
  console.log(`marks: DATS_SEED=${SEED}`);
  log = openMemoryLog({ partitions: 2 });
});
afterEach(async () => {
  await log.close();
  await cleanUp();
});

/** Marks of any artifact by any of three cascades and by rollbacks, in any order. */
const randomMarks = (random: () => number) =>
  Array.from({ length: MARKS }, (_, n) => {
    const int = (below: number): number => Math.floor(random() * below);
    const artifact = int(ARTIFACTS);
    const artifact_id = `artifact-${artifact}`;
    const about = { artifact_id, task_id: `task-${artifact}`, path: 'a.py' };
    const by = { ...about, cascade_id: `c${int(3)}` };
    const said: readonly (readonly [EventType, unknown])[] = [
      ['dats.artifact.suspect', { ...by, depth: 1 }],
      ['dats.artifact.suspect', { ...by, depth: 1 }],
      ['dats.artifact.revalidated', { ...by, attempt: 1, verdict: 'cleared', profile: 'tests', checks: [], reasons: [] }],
      ['dats.artifact.revalidated', { ...by, attempt: 1, verdict: 'unproven', profile: 'tests', checks: [], reasons: [] }],
      ['dats.artifact.tainted', { ...by, depth: 1, cause: 'edge', reason: "it's bad" }],
      ['dats.artifact.reverted', { ...about, rollback_id: 'r' }],
      ['dats.artifact.restored', { ...about, rollback_id: 'r', mark: 'clean' }],
      ['dats.artifact.restored', { ...about, rollback_id: 'r', mark: 'tainted' }],
    ];
    const [type, data] = said[int(said.length)]!;
    // The clock goes backwards now and then: positions are the order.
    const time = new Date(Date.parse('2026-11-21T00:00:00.000Z') + int(1_000) * 1_000).toISOString();
    const details = { subject: artifact_id, projectid: `p${artifact % 3}`, time, id: derivedId('mark', n) };
    return outgoing(LIFECYCLE, eventOf(type, data as DataOf<typeof type>, details));
  });

const taintsOfLog = async (): Promise<ReadonlyMap<string, string>> => {
  const marks = new Map<string, TaskMarks>();
  for (const records of await recordsOf(log))
    for (const record of records) {
      const event = eventIn(record);
      if (isMark(event)) marks.set(event.data.artifact_id, withMark(marks.get(event.data.artifact_id), event, record.offset));
    }
  const taints = [...marks].map(([id, of]) => [id, taintOf(of, id)] as const);
  return new Map(taints.filter(([, taint]) => taint !== 'clean').sort());
};
const taintsOf = async (store: Analytics): Promise<ReadonlyMap<string, string>> => {
  const rows = await store.query<{ id: string; taint: string }>('SELECT artifact_id AS id, taint FROM dats.tainted ORDER BY id');
  return new Map(rows.map(({ id, taint }) => [id, taint]));
};

test('an artifact stands in ClickHouse as it stands in the views', async () => {
  const store = openEmbedded();
  await log.append(randomMarks(randomOf(SEED)));
  await startIngester(log, store);
  await caughtUp(log, store);
  const expected = await taintsOfLog();
  expect(await taintsOf(store)).toEqual(expected);
  expect(new Set(expected.values())).toEqual(new Set(['reverted', 'suspect', 'tainted']));

  const [some] = [...expected];
  const one = await store.query(`SELECT taint, project_id FROM dats.tainted WHERE artifact_id IN ('${some![0]}')`);
  expect(one).toEqual([{ taint: some![1], project_id: `p${Number(some![0].slice('artifact-'.length)) % 3}` }]);
});

test('tables of before have it after the next start, without bringing anything again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dats-marks-'));
  try {
    cpSync(MIGRATIONS_DIR, folder, { recursive: true });
    rmSync(join(folder, '006_marks.sql'));
    const store = openEmbedded();
    const before = await migrate(store, await readMigrations(folder));
    const all = await readMigrations(MIGRATIONS_DIR);
    // Two processes at once, and once more: nothing is left to do.
    const [one, two] = await Promise.all([migrate(store, all), migrate(store, all)]);
    expect([one.generation, two.generation]).toEqual([before.generation, before.generation]);
    expect((await migrate(store, all)).applied).toEqual([]);

    await log.append(randomMarks(randomOf(SEED)));
    await startIngester(log, store);
    await caughtUp(log, store);
    expect(await taintsOf(store)).toEqual(await taintsOfLog());

    await store.command('DROP TABLE dats.artifact_marks SYNC');
    await caughtUp(log, store);
    expect(await taintsOf(store)).toEqual(await taintsOfLog());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
