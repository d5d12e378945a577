import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, Fault, LIFECYCLE, workTopic } from '../../schemas/index.js';
import { eventOf as eventIn, type Log, outgoing, type ViewStore } from '../../streams/index.js';
import { MemoryStore, openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { faultyLog } from '../../streams/testing/faulty-log.js';
import { eventOf } from '../testing/decider-specification.js';
import { type CascadeRun, runCascades } from './run.js';
import { openCascadeWorld, POLICY, requestOf } from './testing/cascade-world.js';
import { loadWorld, SEGMENT_EVENTS, SNAPSHOT_VIEW } from './world.js';

const never = new AbortController().signal;
const appendAll = (log: Log, events: readonly DatsEvent[]) => log.append(events.map((event) => outgoing(LIFECYCLE, event)));

const everything = async (log: Log): Promise<DatsEvent[]> => {
  const { end } = await log.range(LIFECYCLE, 0);
  const events: DatsEvent[] = [];
  if (end > 0)
    for await (const records of log.read({ topic: LIFECYCLE, partition: 0, offset: 0 }, never, { until: end }))
      events.push(...records.map(eventIn));
  return events;
};

/** A history of one bad file and `uses` files read beside it. */
const historyOf = (uses: number): { readonly events: readonly DatsEvent[]; readonly root: string } => {
  const world = openCascadeWorld();
  const root = world.make('a', { 'a.py': 'A' })['a.py']!;
  for (let i = 0; i < uses; i++) world.make(`b${i}`, { [`b${i}.py`]: `B${i}` }, [root]);
  return { events: world.log, root };
};

const start = async (log: Log, views: ViewStore, problems: Fault[] = []) => {
  const run: CascadeRun = {
    log,
    views,
    policy: POLICY,
    configVersion: () => '1',
    now: Date.now,
    onProblem: (fault) => void problems.push(fault),
  };
  return log.join('cascade', [LIFECYCLE], (assignment) => runCascades(assignment, run));
};

/** Answers the revalidations that are asked for, until `done`; @returns what the log holds then */
const driven = async (log: Log, done: (events: readonly DatsEvent[]) => boolean): Promise<DatsEvent[]> => {
  const stop = new AbortController();
  const answering = (async () => {
    for await (const records of log.read({ topic: workTopic('qa'), partition: 0, offset: 0 }, stop.signal))
      for (const record of records) {
        const work = eventIn(record);
        if (work.type !== 'dats.work.requested' || work.data.revalidate === undefined) continue;
        const { cascade_id, artifact_id } = work.data.revalidate;
        const { task_id, attempt } = work.data;
        const said: DataOf<'dats.artifact.revalidated'> = {
          cascade_id,
          artifact_id,
          task_id,
          attempt,
          verdict: 'failed',
          profile: 'tests',
          checks: [],
          reasons: ['no'],
        };
        await appendAll(log, [
          eventOf('dats.artifact.revalidated', said, { projectid: 'p', id: derivedId(cascade_id, artifact_id, 'revalidated') }),
        ]);
      }
  })();
  for await (const records of log.read({ topic: LIFECYCLE, partition: 0, offset: 0 }, stop.signal))
    if (records.length > 0 && done(await everything(log))) break;
  stop.abort();
  await answering;
  return everything(log);
};

const isOver = (id: string) => (events: readonly DatsEvent[]) =>
  events.some((event) => event.type === 'dats.cascade.completed' && event.data.cascade_id === id);
const request = (root: string) => eventOf('dats.cascade.requested', requestOf('c1', { artifact_id: root }), { projectid: 'p' });

describe('the runner of cascades', () => {
  it('finishes a cascade, once, through commits that fail before and after they are written', async () => {
    const log = faultyLog(openMemoryLog({ partitions: 1 }));
    const views = openMemoryViewStore();
    const { events, root } = historyOf(6);
    await appendAll(log, [...events, request(root)]);
    const problems: Fault[] = [];
    for (let i = 0; i < 3; i++) log.failAt('commit:before');
    const membership = await start(log, views, problems);
    const all = await driven(log, isOver('c1'));
    await membership.leave();
    expect(problems.map(({ code }) => code)).toEqual(Array(3).fill('injected'));
    const ids = all.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(all.filter(({ type }) => type === 'dats.artifact.tainted')).toHaveLength(7);
    expect(all.at(-1)).toMatchObject({
      type: 'dats.cascade.completed',
      source: '/deciders/cascade',
      data: { outcome: 'completed', tainted: 7 },
    });
  });

  it('goes on where another one died, whatever it had said by then', async () => {
    const store = new MemoryStore();
    const { events, root } = historyOf(5);
    const first = faultyLog(openMemoryLog({ partitions: 1, store, node: 'first' }));
    await appendAll(first, [...events, request(root)]);
    const views = openMemoryViewStore();
    for (const dies of ['commit:before', 'commit:acknowledgement'] as const) {
      first.failAt(dies, new Fault('fatal', 'died', 'it died here'));
      const membership = await start(first, views);
      await expect(membership.done).rejects.toMatchObject({ code: 'died' });
    }
    const second = openMemoryLog({ partitions: 1, store, node: 'second' });
    const membership = await start(second, views);
    const all = await driven(second, isOver('c1'));
    await membership.leave();
    const ids = all.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(all.filter(({ type }) => type === 'dats.artifact.tainted')).toHaveLength(6);
    expect(all.filter(({ type }) => type === 'dats.cascade.completed')).toHaveLength(1);
  });
});

describe('a log that is away when a partition is taken over', () => {
  it('is waited for', async () => {
    const log = openMemoryLog({ partitions: 1 });
    const { events, root } = historyOf(3);
    await appendAll(log, [...events, request(root)]);
    let away = 3;
    const flaky: CascadeRun['log'] = {
      read: (...given) => log.read(...given),
      range: async (...given) => {
        if (away-- > 0) throw new Fault('retryable', 'log_unavailable', 'no broker answers');
        return log.range(...given);
      },
    };
    const problems: string[] = [];
    const run: CascadeRun = {
      log: flaky,
      views: openMemoryViewStore(),
      policy: POLICY,
      configVersion: () => '1',
      now: Date.now,
      onProblem: ({ code }) => void problems.push(code),
    };
    const membership = await log.join('cascade', [LIFECYCLE], (assignment) => runCascades(assignment, run));
    const all = await driven(log, isOver('c1'));
    await membership.leave();
    expect(problems).toEqual(Array(3).fill('log_unavailable'));
    expect(all.filter(({ type }) => type === 'dats.artifact.tainted')).toHaveLength(4);
  });
});

describe('many projects at once', () => {
  it('share commits of a bounded size, and none waits for ever', async () => {
    const PROJECTS = 6;
    const USES = 600;
    const log = openMemoryLog({ partitions: 1 });
    const world = openCascadeWorld();
    const root = world.make('a', { 'a.py': 'A' })['a.py']!;
    for (let i = 0; i < USES; i++) world.make(`b${i}`, { 'a.py': `B${i}` }, [root]);
    const limits = { per_second: 100_000 };
    for (let i = 0; i < PROJECTS; i++) {
      const asked = eventOf('dats.cascade.requested', requestOf(`c${i}`, { artifact_id: root }, limits), { projectid: 'p' });
      await appendAll(
        log,
        [...world.log, asked].map((event) => ({ ...event, id: `${event.id}/${i}`.slice(-60), projectid: `p${i}` }) as DatsEvent),
      );
    }
    const sizes: number[] = [];
    const run: CascadeRun = {
      log,
      views: openMemoryViewStore(),
      policy: POLICY,
      configVersion: () => '1',
      now: Date.now,
      onProblem: () => undefined,
    };
    const membership = await log.join('cascade', [LIFECYCLE], (assignment) => {
      const counted = Object.create(assignment, {
        commit: {
          value: (commit: Parameters<typeof assignment.commit>[0]) => {
            sizes.push(commit.outputs.length);
            return assignment.commit(commit);
          },
        },
      }) as typeof assignment;
      return runCascades(counted, run);
    });
    const all = await driven(log, (events) => events.filter(({ type }) => type === 'dats.cascade.completed').length === PROJECTS);
    await membership.leave();
    expect(all.filter(({ type }) => type === 'dats.artifact.tainted')).toHaveLength(PROJECTS * (USES + 1));
    expect(Math.max(...sizes)).toBeLessThan(3_000);
  });
});

describe('a step whose commit is fenced', () => {
  it('ends the run at once, though no record comes', async () => {
    const log = faultyLog(openMemoryLog({ partitions: 1 }));
    const { events, root } = historyOf(6);
    const slow = eventOf('dats.cascade.requested', requestOf('c1', { artifact_id: root }, { per_second: 4 }), { projectid: 'p' });
    await appendAll(log, [...events, slow]);
    let running: Promise<void> | undefined;
    const run: CascadeRun = {
      log,
      views: openMemoryViewStore(),
      policy: POLICY,
      configVersion: () => '1',
      now: Date.now,
      onProblem: () => undefined,
    };
    const membership = await log.join('cascade', [LIFECYCLE], (assignment) => {
      running = runCascades(assignment, run);
      return running;
    });
    const stop = new AbortController();
    // After the first mark it waits for its pace: the next commit is of a timer.
    for await (const records of log.read({ topic: LIFECYCLE, partition: 0, offset: 0 }, stop.signal))
      if (records.some(({ type }) => type === 'dats.artifact.tainted')) break;
    stop.abort();
    log.failAt('commit:before', new Fault('fenced', 'lost', 'another owner'));
    await running;
    expect(log.failures).toEqual(['commit:before']);
    await membership.leave();
  });
});

describe('the world of a partition', () => {
  const MANY = Math.ceil((SEGMENT_EVENTS * 2.5) / 5);
  const reads = (log: Log): { readonly log: Log; readonly from: number[] } => {
    const from: number[] = [];
    const watched: Log = {
      ...log,
      partitions: (topic) => log.partitions(topic),
      range: (topic, partition) => log.range(topic, partition),
      read: (position, signal, options) => {
        from.push(position.offset);
        return log.read(position, signal, options);
      },
    };
    return { log: watched, from };
  };

  it('is the same from its snapshot and from the log, and reads of the log only what the snapshot does not have', async () => {
    const log = openMemoryLog({ partitions: 1 });
    const views = openMemoryViewStore();
    const { events, root } = historyOf(MANY);
    await appendAll(log, events);
    const load = (writes: boolean, of: Pick<Log, 'read' | 'range'> = log) =>
      loadWorld({ log: of, views, partition: 0, signal: never, writes });
    const { world: whole } = await load(true);
    const snapshotted = await views.checkpoint(SNAPSHOT_VIEW, 0);
    expect(snapshotted).toBeGreaterThan(SEGMENT_EVENTS);
    const watched = reads(log);
    const { world: resumed } = await load(false, watched.log);
    expect(watched.from).toEqual([snapshotted]);
    const shown = ({ projects }: typeof whole) => {
      const { graph, tasks, versions } = projects.get('p')!;
      const index = graph.indexOf(root);
      return [
        graph.size,
        graph.edges,
        graph.children(index),
        [...tasks.values()],
        [...versions.paths()].map((path) => versions.head(path)),
      ];
    };
    expect(shown(resumed)).toEqual(shown(whole));
  });

  it('is read from the log where its snapshot is gone, is of another shape or reaches too far', async () => {
    const log = openMemoryLog({ partitions: 1 });
    const views = openMemoryViewStore();
    await appendAll(log, historyOf(MANY).events);
    const { end } = await log.range(LIFECYCLE, 0);
    await loadWorld({ log, views, partition: 0, signal: never, writes: true });
    const early = reads(log);
    const { world } = await loadWorld({ log: early.log, views, partition: 0, until: 100, signal: never, writes: true });
    expect([world.next, early.from]).toEqual([100, [0]]);
    await views.put([
      { collection: 'cascade-segment', id: '0/000000000', version: end + 1, doc: { format: 1, from: 0, to: 10, events: [] } },
    ]);
    const other = reads(log);
    await loadWorld({ log: other.log, views, partition: 0, signal: never, writes: true });
    expect(other.from).toEqual([0]);
    await views.clear();
    const gone = reads(log);
    await loadWorld({ log: gone.log, views, partition: 0, signal: never, writes: true });
    expect(gone.from).toEqual([0]);
  });
});
