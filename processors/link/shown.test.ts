// What is shown from state alone is shown again where the store has lost it: the mark, and the three keepers that rely on it.
import { afterEach, describe, expect, it } from 'vitest';
import { Fault, formatLinkedFrom, LIFECYCLE, LINK, LINKED_FROM, NODES, newId, serversSchema, type Topic } from '../../schemas/index.js';
import { type Assignment, outgoing, type ViewStore } from '../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { eventOf } from '../testing/index.js';
import { MOVED } from './home-of.js';
import { homesIn } from './homes.js';
import { keepHomes } from './keep-homes.js';
import { keepNodes } from './keep-nodes.js';
import { PRESENCE } from './presence.js';
import { PEERS, receiveLink } from './receive.js';
import { openShown } from './shown.js';

const LIMIT_MS = 5_000;
const never = new AbortController().signal;
const there = (isIt: () => Promise<boolean>) => expect.poll(isIt, { timeout: LIMIT_MS, interval: 1 }).toBe(true);
const document = (version: number) => ({ collection: 'c', id: 'a', version, doc: { version } });

describe('what is shown', () => {
  const open = (views: Pick<ViewStore, 'get' | 'put'>, troubles: unknown[] = []) =>
    openShown({ views, name: 'group/0', until: never, onTrouble: (error) => void troubles.push(error) });

  it('is there, until the store is emptied or is as it was before', async () => {
    const views = openMemoryViewStore();
    const shown = open(views);
    expect(await shown.isLost()).toBe(false);
    await shown.show([document(3)], 3);
    await shown.show([document(7)], 7);
    expect(await shown.isLost()).toBe(false);
    await views.clear();
    expect(await shown.isLost()).toBe(true);
    // Of another process, before.
    await open(views).show([document(3)], 3);
    expect(await shown.isLost()).toBe(true);
    await shown.show([document(7)], 7);
    expect([await shown.isLost(), await views.get('c', 'a')]).toEqual([false, { version: 7 }]);
  });

  it('is not taken for lost where there was nothing to show, or the store is away', async () => {
    const views = openMemoryViewStore();
    const troubles: unknown[] = [];
    const away = new Fault('retryable', 'views_unavailable', 'away');
    let isAway = false;
    const shown = open(
      { put: views.put.bind(views), get: async (...args) => (isAway ? Promise.reject(away) : views.get(...args)) },
      troubles,
    );
    await shown.show([], 3);
    expect(await shown.isLost()).toBe(false);
    await shown.show([document(3)], 3);
    await views.clear();
    isAway = true;
    expect([await shown.isLost(), troubles]).toEqual([false, [away]]);
    isAway = false;
    expect(await shown.isLost()).toBe(true);
  });
});

describe('a view store that was emptied', () => {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const homes = homesIn(
    serversSchema.parse({
      version: 1,
      node: { id: 'core' },
      nodes: [
        { id: 'core', url: 'http://core.test' },
        { id: 'edge-1', token_env: 'TOKEN' },
      ],
    }),
  );
  const abilities = { version: '1', roles: 'all', models: [], slots: {}, projects: [] };
  const STORE = newId();
  const common = { self: 'core', configVersion: () => 'test', lookMs: 1 };

  /** What a keeper shows of one record, in a store that is emptied then. */
  const emptied = async (
    keep: (assignment: Assignment, log: ReturnType<typeof openMemoryLog>, views: ViewStore) => Promise<void>,
    topic: Topic,
    record: Parameters<ReturnType<typeof openMemoryLog>['append']>[0][number],
    [collection, id]: readonly [string, string],
  ): Promise<{ readonly before: unknown; readonly after: unknown }> => {
    const log = openMemoryLog({ partitions: 1 });
    ends.push(() => log.close());
    const views = openMemoryViewStore();
    const membership = await log.join('keeper', [topic], (assignment) => keep(assignment, log, views));
    ends.push(() => membership.leave());
    await log.append([record]);
    await there(async () => (await views.get(collection, id)) !== undefined);
    const before = await views.get(collection, id);
    await views.clear();
    await there(async () => (await views.get(collection, id)) !== undefined);
    return { before, after: await views.get(collection, id) };
  };

  it('has what is known of nodes again, but not when they were heard of', async () => {
    const joined = eventOf('dats.node.joined', { ...abilities, node_id: 'edge-1', store_id: STORE });
    const { before, after } = await emptied(
      (assignment, _log, views) => receiveLink(assignment, { ...common, views, now: () => 1_000 }),
      LINK,
      outgoing(LINK, joined, 'edge-1'),
      [PEERS, 'edge-1'],
    );
    expect(before).toMatchObject({ store_id: STORE, epoch: 1, at: 1_000 });
    expect(after).toEqual({ ...(before as object), at: 0 });
  });

  it('has where projects are again', async () => {
    const moved = eventOf('dats.project.moved', { project_id: 'p', from: 'edge-1', to: 'core', requested_at: 0 }, { projectid: 'p' });
    const { topic, key, headers, value } = outgoing(LIFECYCLE, moved);
    const { before, after } = await emptied(
      (assignment, log, views) => keepHomes(assignment, { log, views, homes, epoch: async () => 1, lookMs: 1 }),
      LIFECYCLE,
      {
        topic,
        key,
        headers: { ...headers, [LINKED_FROM]: formatLinkedFrom({ node: 'edge-1', epoch: 1, partition: 0, offset: 3 }) },
        value,
      },
      [MOVED, 'p'],
    );
    expect(before).toMatchObject({ home: 'core', moves: 1 });
    expect(after).toEqual(before);
  });

  it('has who is there again', async () => {
    const registered = eventOf('dats.node.registered', { ...abilities, node_id: 'edge-1', store_id: STORE, epoch: 1 });
    const { before, after } = await emptied(
      (assignment, _log, views) =>
        keepNodes(assignment, { ...common, views, isEdge: (node) => node === 'edge-1', awayMs: 15_000, now: () => 1_000 }),
      NODES,
      outgoing(NODES, registered, 'edge-1'),
      [PRESENCE, 'edge-1'],
    );
    expect([before, after]).toEqual([
      { node_id: 'edge-1', lost: false },
      { node_id: 'edge-1', lost: false },
    ]);
  });
});
