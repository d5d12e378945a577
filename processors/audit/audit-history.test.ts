import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { AUDIT, type AuditCheckpoint, decode, derivedId, Fault, LIFECYCLE, partitionOf, type TOPICS } from '../../schemas/index.js';
import { type Assignment, type Log, type Outgoing, outgoing, type Recorded } from '../../streams/index.js';
import { openLmdbLog } from '../../streams/lmdb/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { GIVE_WAY_MS } from '../../streams/runtime/index.js';
import { ManualTimers } from '../../streams/runtime/testing/manual-timers.js';
import { faultyLog } from '../../streams/testing/faulty-log.js';
import { eventOf } from '../testing/index.js';
import { type AuditOptions, auditHistory, LAZY_MS } from './audit-history.js';
import { auditEventOf } from './leaf.js';
import { headersOf, KEY } from './testing/histories.js';
import { verifyHistory } from './verify.js';

const PARTITIONS = 2;
const GROUP = 'audit';
const PROJECTS = ['a', 'b', 'c', 'd'] as const;

const logs: Log[] = [];
afterEach(async () => {
  for (const log of logs.splice(0)) await log.close();
});
const open = () => {
  const log = faultyLog(openMemoryLog({ partitions: PARTITIONS }));
  logs.push(log);
  return log;
};

/** Some are of types that nobody knows, some are no JSON, some are of no project. */
const record = (n: number, project: string): Outgoing => ({
  topic: LIFECYCLE,
  key: project,
  headers: n % 11 === 7 ? { type: 'stray' } : headersOf(n, { projectid: project, ...(n % 5 === 3 ? { type: 'com.example.unknown' } : {}) }),
  value: n % 7 === 2 ? Buffer.from([0xff, n]) : JSON.stringify({ n, text: 'x'.repeat(n % 40) }),
});
const append = (log: Log, from: number, count: number, projectOf = (n: number): string => PROJECTS[n % PROJECTS.length]!) =>
  log.append(Array.from({ length: count }, (_, i) => record(from + i, projectOf(from + i))));

const recordsOf = async (log: Log, topic: (typeof TOPICS)[number]): Promise<Recorded[]> => {
  const all: Recorded[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { end } = await log.range(topic, partition);
    if (end === 0) continue;
    for await (const batch of log.read({ topic, partition, offset: 0 }, new AbortController().signal, { until: end })) all.push(...batch);
  }
  return all;
};
const reportOf = async (log: Log, project: string) => {
  const events = (await recordsOf(log, LIFECYCLE)).filter(({ headers }) => headers.projectid === project).map(auditEventOf);
  const said = (await recordsOf(log, AUDIT)).filter(({ key }) => key === project);
  const checkpoints = said.map(({ headers, value }) => decode(headers, value).data as AuditCheckpoint);
  return {
    report: await verifyHistory({ project, events, checkpoints, vkey: KEY.vkey }),
    checkpoints,
    ids: said.map(({ headers }) => headers.id),
  };
};

const optionsOf = (changes: Partial<AuditOptions> = {}): AuditOptions => ({
  key: KEY,
  partitions: PARTITIONS,
  configVersion: () => '1',
  everyEvents: 10,
  everyMs: 10_000,
  timers: new ManualTimers(),
  ...changes,
});
const joinAudit = (log: Log, options: AuditOptions) => log.join(GROUP, [LIFECYCLE], (assignment) => auditHistory(assignment, options));
const until = async (condition: () => Promise<boolean> | boolean): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
};
const saidOf = async (log: Log): Promise<number> => (await recordsOf(log, AUDIT)).length;

describe('checkpoints', () => {
  test('come after so many events of a project; they cover everything up to then, poison and unknown types too', async () => {
    const log = open();
    await append(log, 0, 50, () => 'a');
    const covered = (await recordsOf(log, LIFECYCLE)).filter(({ headers }) => headers.projectid === 'a').length;
    expect(covered).toBeLessThan(50);
    const member = await joinAudit(log, optionsOf());
    await until(async () => (await saidOf(log)) === Math.floor(covered / 10));
    await member.leave();
    const { report, checkpoints } = await reportOf(log, 'a');
    expect(report).toMatchObject({ ok: true, covered: Math.floor(covered / 10) * 10, uncovered: covered % 10 });
    expect(checkpoints.map(({ size }) => size)).toEqual(Array.from({ length: Math.floor(covered / 10) }, (_, i) => (i + 1) * 10));
    expect(checkpoints[0]).toMatchObject({ project_id: 'a', partition: partitionOf('a', PARTITIONS) });
  });

  test('come at the latest so long after the first event that none covers, of each project', async () => {
    const log = open();
    const timers = new ManualTimers();
    const member = await joinAudit(log, optionsOf({ timers }));
    await append(log, 0, 4);
    await until(() => timers.waiting === PARTITIONS);
    await timers.advance(9_999);
    expect(await saidOf(log)).toBe(0);
    await timers.advance(1);
    await until(async () => (await saidOf(log)) === PROJECTS.length);
    for (const project of PROJECTS) expect((await reportOf(log, project)).report).toMatchObject({ ok: true, covered: 1, uncovered: 0 });
    await member.leave();
  });

  test('of a project that lives in another partition, or whose name is none, are not made', async () => {
    const log = open();
    const stray = (projectid: string): Outgoing => ({ topic: LIFECYCLE, key: 'a', headers: headersOf(1, { projectid }), value: '{}' });
    const elsewhere = PROJECTS.find((project) => partitionOf(project, PARTITIONS) !== partitionOf('a', PARTITIONS))!;
    await log.append([stray(elsewhere), stray('no name'), record(0, 'a')]);
    const member = await joinAudit(log, optionsOf({ everyEvents: 1 }));
    await until(async () => (await saidOf(log)) === 1);
    await member.leave();
    expect(await saidOf(log)).toBe(1);
  });
});

describe('who gives a partition up in order', () => {
  test('reads it to its end and leaves nothing uncovered', async () => {
    const log = open();
    await append(log, 0, 5, () => 'a');
    const partition = partitionOf('a', PARTITIONS);
    const busy: AuditOptions['load'] = { ours: () => undefined, others: () => 1 };
    const timers = new ManualTimers();
    const member = await joinAudit(log, optionsOf({ log, timers, load: busy, everyEvents: 1_000, everyMs: 1_000_000 }));
    // It gives way after the first batch, and what comes now is not read before it is told to leave.
    await until(() => timers.waiting > 0);
    await append(log, 5, 5, () => 'a');
    await member.leave();
    const { report } = await reportOf(log, 'a');
    const count = (await recordsOf(log, LIFECYCLE)).filter((one) => one.partition === partition && one.headers.projectid === 'a').length;
    expect(report).toMatchObject({ ok: true, covered: count, uncovered: 0 });
  });
});

test('a checkpoint that is due and fenced ends the run at once, though no record comes', async () => {
  const log = faultyLog(open());
  const timers = new ManualTimers();
  await append(log, 0, 3, () => 'a');
  let running: Promise<void>[] = [];
  const member = await log.join(GROUP, [LIFECYCLE], (assignment) => {
    const run = auditHistory(assignment, optionsOf({ timers, everyMs: 1_000 }));
    running = [...running, run];
    return run;
  });
  await until(() => timers.waiting > 0);
  log.failAt('commit:before', new Fault('fenced', 'lost', 'another owner'));
  const ended = Promise.race(running);
  await timers.advance(1_000);
  await ended;
  expect(log.failures).toEqual(['commit:before']);
  await member.leave();
});

describe('what is kept', () => {
  test('is committed seldom without a checkpoint, and when the partition is given up', async () => {
    const log = open();
    const timers = new ManualTimers();
    const options = optionsOf({ timers, everyMs: 1_000_000 });
    const member = await joinAudit(log, options);
    await append(log, 0, 3, () => 'a');
    const lag = async () => (await log.lag(GROUP, [LIFECYCLE])).reduce((sum, one) => sum + one.lag, 0);
    await until(() => timers.waiting === 1);
    expect(await lag()).toBe(3);
    await timers.advance(LAZY_MS);
    await until(async () => (await lag()) === 0);
    await append(log, 3, 3, () => 'a');
    await until(() => timers.waiting === 1);
    await member.leave();
    expect(await lag()).toBe(0);

    const again = await joinAudit(log, options);
    await append(log, 20, 4, () => 'a');
    await until(async () => (await saidOf(log)) === 1);
    await again.leave();
    expect((await reportOf(log, 'a')).report).toMatchObject({ ok: true, covered: 10, uncovered: 0 });
  });

  test('goes to the next owner, who says what is due', async () => {
    const log = open();
    const timers = new ManualTimers();
    const options = optionsOf({ timers });
    const first = await joinAudit(log, options);
    await append(log, 0, 1, () => 'a');
    await until(() => timers.waiting === 1);
    await first.leave();
    await timers.advance(10_000);
    const second = await joinAudit(log, options);
    await until(async () => (await saidOf(log)) === 1);
    await second.leave();
    expect((await reportOf(log, 'a')).report).toMatchObject({ ok: true, covered: 1 });
  });
});

describe('failures', () => {
  test('a commit that fails for a while is tried again, and said once', async () => {
    const log = open();
    const timers = new ManualTimers();
    const problems: string[] = [];
    log.failAt('commit:before');
    log.failAt('commit:before');
    await append(log, 0, 1, () => 'a');
    const member = await joinAudit(log, optionsOf({ timers, everyEvents: 1, onProblem: ({ code }) => problems.push(code) }));
    await until(async () => {
      await timers.advance(1_000);
      return (await saidOf(log)) === 1;
    });
    await member.leave();
    expect(problems).toEqual(['injected', 'injected']);
    expect((await reportOf(log, 'a')).checkpoints).toHaveLength(1);
  });

  test('an owner that was replaced ends quietly; a store that cannot go on ends the member', async () => {
    const log = open();
    await append(log, 0, 1, () => 'a');
    log.failAt('commit:before', new Fault('fenced', 'fenced', 'another owner'));
    const fenced = await joinAudit(log, optionsOf({ everyEvents: 1 }));
    await until(() => log.failures.length === 1);
    await fenced.leave();
    expect(await saidOf(log)).toBe(0);
    log.failAt('commit:before', new Fault('fatal', 'gone', 'the disk is gone'));
    const broken = await joinAudit(log, optionsOf({ everyEvents: 1 }));
    await expect(broken.done).rejects.toMatchObject({ code: 'gone' });
  });

  test('whatever dies when, before or after a commit was written, each checkpoint is said once and every record is one leaf', async () => {
    const steps = fc.array(
      fc.record({ records: fc.integer({ min: 0, max: 30 }), crash: fc.constantFrom('commit:before', 'commit:acknowledgement', undefined) }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 7 }), async (chosen, everyEvents) => {
        const inner = openMemoryLog({ partitions: PARTITIONS });
        let n = 0;
        for (const { records, crash } of chosen) {
          const log = faultyLog(inner);
          if (records > 0) await append(log, n, records);
          n += records;
          if (crash !== undefined) log.failAt(crash, new Fault('fatal', 'killed', 'the process was killed'));
          const member = await joinAudit(log, optionsOf({ everyEvents }));
          for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
          await member.leave().catch(() => undefined);
          await member.done.catch(() => undefined);
        }
        const timers = new ManualTimers();
        const last = await joinAudit(inner, optionsOf({ everyEvents, timers }));
        await until(async () => {
          await timers.advance(10_000);
          return (await inner.lag(GROUP, [LIFECYCLE])).every(({ lag }) => lag === 0);
        });
        await last.leave();
        for (const project of PROJECTS) {
          const { report, ids, checkpoints } = await reportOf(inner, project);
          expect(report).toMatchObject({ ok: true, uncovered: 0 });
          expect(new Set(ids).size).toBe(ids.length);
          expect(checkpoints.reduce((sum, { leaves }) => sum + leaves.length, 0)).toBe(report.events);
        }
        await inner.close();
      }),
      { numRuns: 40 },
    );
  });
});

test('where the process has much else to do, it waits between batches', async () => {
  const timers = new ManualTimers();
  let busy = true;
  const said: number[] = [];
  const load = { ours: () => undefined, others: () => (busy ? 0.9 : 0) };
  const read: number[] = [];
  const commits: number[] = [];
  const batch = (offset: number): Recorded[] => [
    { ...record(0, 'a'), partition: partitionOf('a', PARTITIONS), offset, type: 't', timestamp: 0 },
  ];
  const revoke = new AbortController();
  const assignment: Assignment = {
    topic: LIFECYCLE,
    partition: partitionOf('a', PARTITIONS),
    epoch: 1,
    committed: 0,
    revoked: revoke.signal,
    async *records() {
      for (let offset = 0; offset < 3; offset++) {
        read.push(offset);
        yield batch(offset);
      }
    },
    state: async () => undefined,
    async *states() {},
    commit: async ({ next }) => {
      commits.push(next);
      return [];
    },
  };
  const run = auditHistory(assignment, optionsOf({ timers, load, onCheckpoint: ({ size }) => said.push(size), everyEvents: 1 }));
  await until(() => timers.waiting === 1);
  expect(read).toEqual([0]);
  await timers.advance(GIVE_WAY_MS);
  await until(() => read.length === 2);
  busy = false;
  await timers.until(run);
  expect(read).toEqual([0, 1, 2]);
  expect(commits).toEqual([1, 2, 3]);
  expect(said).toEqual([1, 2, 3]);
});

test('on the embedded log, leaves are the same for whoever wrote a record and for whoever reads it later', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-audit-'));
  const openLog = () => openLmdbLog({ dir, node: 'node', partitions: PARTITIONS });
  const log = await openLog();
  await append(log, 0, 40, () => 'a');
  const events = [0, 1, 2].map((n) => eventOf('dats.task.cancelled', { task_id: `t${n}`, reason: 'ü', by: 'me' }, { projectid: 'a' }));
  await log.append(events.map((event) => outgoing(LIFECYCLE, event)));
  const member = await joinAudit(log, optionsOf({ everyEvents: 13 }));
  await until(async () => (await saidOf(log)) === 3);
  await member.leave();
  const here = (await reportOf(log, 'a')).report;
  await log.close();
  const later = await openLog();
  const there = (await reportOf(later, 'a')).report;
  await later.close();
  await rm(dir, { recursive: true, force: true });
  expect(there).toMatchObject({ ok: true, covered: 39, checkpoints: { total: 3, verified: 3 } });
  expect(here).toEqual(there);
});

test('the id of a checkpoint follows from what it says', async () => {
  const log = open();
  await append(log, 0, 1, () => 'a');
  const member = await joinAudit(log, optionsOf({ everyEvents: 1 }));
  await until(async () => (await saidOf(log)) === 1);
  await member.leave();
  const { ids, checkpoints } = await reportOf(log, 'a');
  expect(ids).toEqual([derivedId('dats.audit.checkpoint', 'a', 1, Buffer.from(checkpoints[0]!.root, 'base64').toString('hex'))]);
});
