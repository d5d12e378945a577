import { afterEach, describe, expect, test } from 'vitest';
import { loadWorld } from '../../processors/cascade/index.js';
import { openCascadeWorld, requestOf } from '../../processors/cascade/testing/cascade-world.js';
import { type DatsEvent, Fault, LIFECYCLE, type Problem, partitionOf } from '../../schemas/index.js';
import { type Log, outgoing } from '../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { openAwayLog } from '../testing/outages.js';
import { openWorld, until, type World } from '../testing/world.js';
import { createKnowledge, inHistory } from './knowledge.js';
import { make } from './testing/story.js';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

/** Tasks, each built on the one before. */
const tasks = (count: number, from = 0): readonly DatsEvent[] => {
  const world = openCascadeWorld();
  let last: readonly string[] = [];
  for (let i = from; i < from + count; i++) last = Object.values(world.make(`t${i}`, { [`${i}.py`]: `${i}` }, last));
  return world.log;
};
const append = (log: Log, events: readonly DatsEvent[]) => log.append(events.map((event) => outgoing(LIFECYCLE, event)));

interface Watched {
  readonly log: Log;
  readonly reads: { readonly from: number; open: boolean }[];
  /** Called before each batch. */
  between?: () => Promise<void> | void;
}
/** A log of one partition whose reads are watched. */
const watched = (): Watched => {
  const inner = openMemoryLog({ partitions: 1 });
  const reads: { from: number; open: boolean }[] = [];
  const result: Watched = {
    reads,
    log: {
      partitions: (topic) => inner.partitions(topic),
      append: (records) => inner.append(records),
      get: (position) => inner.get(position),
      range: (topic, partition) => inner.range(topic, partition),
      join: (...args) => inner.join(...args),
      lag: (...args) => inner.lag(...args),
      health: () => inner.health(),
      close: () => inner.close(),
      async *read(from, signal, options) {
        const read = { from: from.offset, open: true };
        reads.push(read);
        try {
          for await (const batch of inner.read(from, signal, { ...options, maxBatch: 10 })) {
            await result.between?.();
            yield batch;
          }
        } finally {
          read.open = false;
        }
      },
    },
  };
  return result;
};

describe('what is known of projects', () => {
  test('is everything that was acknowledged before it was asked for, and is read once however many ask', async () => {
    const watch = watched();
    const knowledge = createKnowledge({ log: watch.log, views: openMemoryViewStore() }, new AbortController().signal);
    expect([await knowledge.project('p'), watch.reads]).toEqual([undefined, []]);
    for (let n = 1; n <= 5; n++) {
      await append(watch.log, tasks(3, 3 * n));
      const seen = await Promise.all(Array.from({ length: 4 }, () => knowledge.project('p')));
      expect(seen.map((project) => project?.tasks.size)).toEqual(Array(4).fill(3 * n));
      expect([watch.reads.length, watch.reads.some(({ open }) => open)]).toEqual([n, false]);
    }
    // Each went on from where the one before ended.
    expect(watch.reads.map(({ from }) => from)).toEqual([0, 1, 2, 3, 4].map((n) => 15 * n));
    await watch.log.close();
  });

  test('is waited for by whoever asks while an older end is read, until its own is', async () => {
    const watch = watched();
    const knowledge = createKnowledge({ log: watch.log, views: openMemoryViewStore() }, new AbortController().signal);
    await append(watch.log, tasks(4));
    let later: Promise<number | undefined> | undefined;
    watch.between = async () => {
      if (later !== undefined) return;
      await append(watch.log, tasks(4, 4));
      later = knowledge.project('p').then((project) => project?.tasks.size);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await knowledge.project('p');
    expect([await later, watch.reads.map(({ from }) => from)]).toEqual([8, [0, 20]]);
    await watch.log.close();
  });

  test('is kept when a reading fails, and gone on from where it failed', async () => {
    const watch = watched();
    const knowledge = createKnowledge({ log: watch.log, views: openMemoryViewStore() }, new AbortController().signal);
    await append(watch.log, tasks(2));
    const first = await knowledge.project('p');
    await append(watch.log, tasks(8, 2));
    let batches = 0;
    watch.between = () => {
      if (++batches === 3) throw new Fault('retryable', 'log_unavailable', 'away');
    };
    const failed = await Promise.allSettled([knowledge.project('p'), knowledge.project('p')]);
    expect(failed.map((one) => one.status === 'rejected' && (one.reason as Fault).code)).toEqual(['log_unavailable', 'log_unavailable']);
    const again = await knowledge.project('p');
    expect([again === first, again?.tasks.size, again?.graph.size]).toEqual([true, 10, 10]);
    expect(watch.reads.map(({ from }) => from)).toEqual([0, 10, 30]);
    await watch.log.close();
  });

  test('is begun anew when the first reading fails', async () => {
    const watch = watched();
    const knowledge = createKnowledge({ log: watch.log, views: openMemoryViewStore() }, new AbortController().signal);
    await append(watch.log, tasks(10));
    let failing = true;
    watch.between = () => {
      if (failing) throw new Fault('retryable', 'log_unavailable', 'away');
    };
    await expect(knowledge.all()).rejects.toMatchObject({ code: 'log_unavailable' });
    failing = false;
    expect((await knowledge.all()).map(({ tasks: known }) => known.size)).toEqual([10]);
    await watch.log.close();
  });

  test('is the same from the snapshots of the deciders, of which nothing is read again', async () => {
    const watch = watched();
    const views = openMemoryViewStore();
    await append(watch.log, tasks(40));
    const { end } = await watch.log.range(LIFECYCLE, 0);
    const signal = new AbortController().signal;
    const { snapshots } = await loadWorld({ log: watch.log, views, partition: 0, until: end, signal, writes: true });
    await snapshots.write(end, true);
    await append(watch.log, tasks(1, 40));
    const knowledge = createKnowledge({ log: watch.log, views }, signal);
    const project = await knowledge.project('p');
    expect([project?.tasks.size, project?.graph.size, watch.reads.map(({ from }) => from)]).toEqual([41, 41, [0, end]]);
    await watch.log.close();
  });

  test('finds the project of a cascade, and asks only about that one from then on', async () => {
    const away = openAwayLog();
    const log = away.wrap(openMemoryLog({ partitions: 4 }));
    const knowledge = createKnowledge({ log, views: openMemoryViewStore() }, new AbortController().signal);
    await append(log, [...tasks(2)]);
    const story = openCascadeWorld();
    await append(log, [story.append('dats.cascade.requested', requestOf('c', { model: 'm' }))]);
    expect([await knowledge.projectOf('cascades', 'd'), await knowledge.projectOf('rollbacks', 'c')]).toEqual([undefined, undefined]);
    expect((await knowledge.projectOf('cascades', 'c'))?.id).toBe('p');
    away.ranges.length = 0;
    expect((await knowledge.projectOf('cascades', 'c'))?.id).toBe('p');
    expect(away.ranges).toEqual([`${LIFECYCLE}/${partitionOf('p', 4)}`]);
    await log.close();
  });

  test('gives others their turn while it is read', async () => {
    const watch = watched();
    await append(watch.log, tasks(100));
    const knowledge = createKnowledge({ log: watch.log, views: openMemoryViewStore() }, new AbortController().signal);
    let turns = 0;
    let reading = true;
    const others = (async () => {
      while (reading) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
    })();
    await knowledge.project('p');
    reading = false;
    await others;
    // 500 records in batches of 10.
    expect(turns).toBeGreaterThanOrEqual(49);
    await watch.log.close();
  });

  test('is read no further when the gateway closes', async () => {
    const watch = watched();
    const closing = new AbortController();
    await append(watch.log, tasks(10));
    const knowledge = createKnowledge({ log: watch.log, views: openMemoryViewStore() }, closing.signal);
    watch.between = () => closing.abort();
    await expect(knowledge.project('p')).rejects.toThrow();
    expect(watch.reads.map(({ open }) => open)).toEqual([false]);
    await watch.log.close();
  });
});

describe('a request that asks history', () => {
  test('is answered 503 while the history is read for the first time, which goes on', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let gated = false;
    const world = await openWorld({
      gateway: { historyMs: 30 },
      log: (log) => {
        const wrapped = Object.create(log) as Log;
        for (const name of ['partitions', 'append', 'get', 'range', 'join', 'lag', 'health', 'close'] as const)
          Object.defineProperty(wrapped, name, { value: (log[name] as (...args: unknown[]) => unknown).bind(log) });
        wrapped.read = async function* (from, signal, options) {
          for await (const batch of log.read(from, signal, options)) {
            if (gated) await gate;
            yield batch;
          }
        };
        return wrapped;
      },
    });
    worlds.push(world);
    const { ids } = await make(world, { 'a.py': 'a' });
    gated = true;
    const ask = () => world.app.request(`/api/v1/impact/${ids['a.py']}`);
    for (let i = 0; i < 2; i++) {
      const early = await ask();
      const problem = (await early.json()) as Problem;
      expect([early.status, problem.type, early.headers.get('retry-after'), problem.retryable]).toEqual([
        503,
        '/problems/history-loading',
        '2',
        true,
      ]);
      expect(problem.detail).toContain('still reading the history, 0 of 6 records');
    }
    release();
    const answer = await until(async () => {
      const response = await ask();
      return response.status === 200 ? response : undefined;
    });
    expect(await answer.json()).toMatchObject({ impact: { artifacts: 1 } });
  });

  test('ends what it began when its time is over', async () => {
    const knowledge = { late: () => new Fault('retryable', 'unavailable', 'late') } as never;
    let seen: AbortSignal | undefined;
    const work = (signal: AbortSignal) => {
      seen = signal;
      return new Promise<never>(() => {});
    };
    await expect(inHistory({ knowledge, historyMs: 5, closing: new AbortController().signal }, work)).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(seen?.aborted).toBe(true);
  });

  test('is answered 503 when the process ends meanwhile', async () => {
    const closing = new AbortController();
    const work = async () => {
      closing.abort();
      throw closing.signal.reason;
    };
    await expect(inHistory({ knowledge: {} as never, historyMs: 1_000, closing: closing.signal }, work)).rejects.toMatchObject({
      code: 'log_closed',
    });
  });

  test.each(['refusing', 'silent'] as const)('is answered 503 while the log is away (%s), and works when it is back', async (how) => {
    const log = openAwayLog();
    const world = await openWorld({ log: log.wrap, gateway: { answerMs: 60, historyMs: 60, cancelWaitMs: 5 } });
    worlds.push(world);
    const { ids, task_id } = await make(world, { 'a.py': 'a' });
    const taint = await world.post('/api/v1/taint', { artifact_id: ids['a.py'], reason: 'bad' });
    const cascade = ((await taint.json()) as { cascades: { cascade_id: string }[] }).cascades[0]!.cascade_id;
    const requests: readonly (readonly [string, unknown?])[] = [
      ['/api/v1/taint', { artifact_id: ids['a.py'], reason: 'bad' }],
      ['/api/v1/taint', { model: 'scripted', reason: 'bad' }],
      [`/api/v1/impact/${ids['a.py']}`],
      ['/api/v1/cascades'],
      [`/api/v1/cascades/${cascade}`],
      [`/api/v1/cascades/${cascade}/events`],
      [`/api/v1/cascades/${cascade}/cancel`, {}],
      ['/api/v1/rollback', { task_id }],
      ['/api/v1/rollback', { to: 'p0-0', project_id: 'p' }],
      ['/api/v1/rollbacks'],
      ['/api/v1/projects/p/state'],
      ['/api/v1/security-alerts', { kind: 'k', severity: 'low', detail: 'd', artifact_id: ids['a.py'] }],
      [`/api/v1/tasks/${task_id}/reject`, { reason: 'bad' }],
    ];
    const ask = async ([path, body]: readonly [string, unknown?]) => {
      const response = await (body === undefined ? world.app.request(path) : world.post(path, body));
      if (response.headers.get('content-type')?.startsWith('text/event-stream')) await response.body?.cancel();
      return response;
    };
    log.away(how);
    for (const request of requests) {
      const response = await ask(request);
      const { type, retryable } = (await response.json()) as Problem;
      expect([request[0], response.status, type, retryable]).toEqual([
        request[0],
        503,
        how === 'refusing' ? '/problems/log-unavailable' : '/problems/unavailable',
        true,
      ]);
    }
    log.back();
    for (const request of requests) expect([request[0], (await ask(request)).status < 500]).toEqual([request[0], true]);
  });
});
