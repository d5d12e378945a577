// How the views are kept when the store or the log fails under them. Redis itself: views-lost.int.test.ts.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DatsEvent, Fault, LIFECYCLE } from '../../schemas/index.js';
import type { Assignment, Log, ViewStore } from '../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { faultyLog } from '../../streams/testing/faulty-log.js';
import { Latch } from '../../streams/testing/log-driver.js';
import { MARK_TYPES } from './marks.js';
import { materialise, VIEW } from './materialise.js';
import { append, hasAll, histories, randomOf, shown } from './testing/histories.js';

const EVENTS = histories(30, randomOf(7));
const away = () => new Fault('retryable', 'views_unavailable', 'injected: the store does not answer');

let log: Log;
let views: ViewStore;
let problems: Fault[];
beforeEach(() => {
  log = openMemoryLog({ partitions: 1 });
  views = openMemoryViewStore();
  problems = [];
});
afterEach(() => log.close());

const follow = async (to: ViewStore, { group = 'views', lookMs = 2_000, through = log } = {}) => {
  const owned = new Latch<Assignment>();
  const membership = await through.join(group, [LIFECYCLE], (assignment) => {
    owned.open(assignment);
    return materialise(assignment, { log, views: to, lookMs, onProblem: (fault) => void problems.push(fault) });
  });
  await owned.reached;
  return membership;
};

/** What they show when nothing goes wrong. */
const expected = async (events: readonly DatsEvent[]): Promise<unknown> => {
  const calm = openMemoryLog({ partitions: 1 });
  const store = openMemoryViewStore();
  await calm.join('views', [LIFECYCLE], (assignment) => materialise(assignment, { log: calm, views: store }));
  await append(calm, events);
  await expect.poll(() => hasAll(calm, store)).toBe(true);
  await calm.close();
  return shown(store, events);
};

test('these histories have every mark', () => {
  const types = new Set<string>(EVENTS.map(({ type }) => type));
  expect(MARK_TYPES.filter((type) => !types.has(type))).toEqual([]);
});

test('no event is missing from the views because the store did not answer when it was read', async () => {
  // A batch of four needs eight reads at most.
  let reads = 0;
  const failing: ViewStore = {
    ...views,
    get: (collection, id) => {
      if (++reads % 13 === 0) throw away();
      return views.get(collection, id);
    },
  };
  await follow(failing);
  for (let at = 0; at < EVENTS.length; at += 4) {
    await append(log, EVENTS.slice(at, at + 4));
    await expect.poll(() => hasAll(log, views), { timeout: 5_000, interval: 1 }).toBe(true);
  }
  expect(reads).toBeGreaterThan(20);
  expect(problems.map(({ code }) => code)).toContain('views_unavailable');
  expect(await shown(views, EVENTS)).toEqual(await expected(EVENTS));
});

test('a write whose acknowledgement is lost is in the views once', async () => {
  let writes = 0;
  const deaf: ViewStore = {
    ...views,
    put: async (documents, checkpoint) => {
      await views.put(documents, checkpoint);
      if (++writes % 3 === 1) throw away();
    },
  };
  await follow(deaf);
  for (let at = 0; at < EVENTS.length; at += 10) {
    await append(log, EVENTS.slice(at, at + 10));
    await expect.poll(() => hasAll(log, views), { interval: 1 }).toBe(true);
  }
  await expect.poll(() => problems.map(({ code }) => code)).toContain('views_moved');
  expect(await shown(views, EVENTS)).toEqual(await expected(EVENTS));
});

test('views that are dropped while nothing happens are filled again', async () => {
  await follow(views, { lookMs: 2 });
  await append(log, EVENTS);
  await expect.poll(() => hasAll(log, views)).toBe(true);
  await views.clear();
  await expect.poll(() => hasAll(log, views)).toBe(true);
  expect(await shown(views, EVENTS)).toEqual(await expected(EVENTS));
});

test('a writer that read a task newer than its project does not spoil the counts', async () => {
  const events = histories(2, randomOf(1)).filter(({ subject }) => subject === 'task-1');
  const owner = await follow(views, { group: 'owner' });
  await append(log, events.slice(0, 1));
  await expect.poll(() => hasAll(log, views)).toBe(true);

  const asked = new Latch();
  const released = new Latch();
  const late: ViewStore = {
    ...views,
    get: async <T>(collection: string, id: string) => {
      if (collection !== 'task') return views.get<T>(collection, id);
      asked.open();
      await released.reached;
      return views.get<T>(collection, id);
    },
  };
  await follow(late, { group: 'zombie' });
  await append(log, events.slice(1, 2));
  await asked.reached;
  await expect.poll(() => views.checkpoint(VIEW, 0)).toBe(2);
  await owner.leave();
  released.open();
  await append(log, events.slice(2));
  await expect.poll(() => hasAll(log, views)).toBe(true);
  expect(await shown(views, events)).toEqual(await expected(events));
  expect(problems.map(({ code }) => code)).toEqual(['views_moved']);
});

test('a group offset that cannot be written does not hold the views, and is written later', async () => {
  const faulty = faultyLog(log);
  for (let i = 0; i < 3; i++) faulty.failAt('commit:before');
  let writes = 0;
  const counting: ViewStore = {
    ...views,
    put: (documents, checkpoint) => {
      writes++;
      return views.put(documents, checkpoint);
    },
  };
  await follow(counting, { through: faulty });
  await append(log, EVENTS.slice(0, 10));
  await expect.poll(() => hasAll(log, views)).toBe(true);
  await expect.poll(async () => (await log.lag('views', [LIFECYCLE]))[0]!.lag, { timeout: 5_000 }).toBe(0);
  expect(faulty.failures).toHaveLength(3);
  expect(writes).toBe(1);
  expect(problems.map(({ code }) => code)).toEqual(['injected']);
});

test('who lost the partition stops, whatever the view store does', async () => {
  const faulty = faultyLog(log);
  faulty.failAt('commit:before', new Fault('fenced', 'fenced', 'injected: another owner'));
  const written = new Latch();
  const watched: ViewStore = { ...views, put: (...args) => views.put(...args).finally(() => written.open()) };
  const membership = await follow(watched, { through: faulty });
  await append(log, EVENTS.slice(0, 1));
  await written.reached;
  await append(log, EVENTS.slice(1, 9));
  await membership.leave();
  await membership.done;
  expect(await views.checkpoint(VIEW, 0)).toBe(1);
});

test('an outage is told once, not at every try', async () => {
  let tries = 0;
  let works = false;
  const down: ViewStore = {
    ...views,
    put: async (documents, checkpoint) => {
      tries++;
      if (!works) throw away();
      await views.put(documents, checkpoint);
    },
  };
  await follow(down);
  await append(log, EVENTS);
  await expect.poll(() => tries, { timeout: 5_000 }).toBeGreaterThan(3);
  works = true;
  await expect.poll(() => hasAll(log, views), { timeout: 5_000 }).toBe(true);
  expect(problems.map(({ code }) => code)).toEqual(['views_unavailable']);
});
