// Settings on their way to the edge nodes, on the memory log: each change once for each life of a node, whoever dies when.
import { afterEach, describe, expect, it } from 'vitest';
import { CONFIG, CONFIG_LOG_KEY, Fault, LINKED_TOPIC, OUTBOX, partitionOf } from '../../schemas/index.js';
import { pause } from '../../streams/index.js';
import { MemoryStore, openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { type FaultyLog, faultyLog } from '../../streams/testing/faulty-log.js';
import { handSettings, PEERS } from './index.js';

const LIMIT_MS = 5_000;
const PARTITIONS = 2;
const EDGES = ['edge-1', 'edge-2'];
const never = new AbortController().signal;

const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

const openWorld = async () => {
  const store = new MemoryStore();
  const inner = openMemoryLog({ partitions: PARTITIONS, store });
  const views = openMemoryViewStore();
  const problems: unknown[] = [];
  let joins = 0;
  let changes = 0;
  let log: FaultyLog;
  let member: { close(): Promise<void> };
  const join = async (): Promise<void> => {
    const name = `core-${++joins}`;
    const mine = openMemoryLog({ partitions: PARTITIONS, store, node: name });
    log = faultyLog(mine);
    const options = { log: inner, views, edges: EDGES, lookMs: 1, onProblem: (error: unknown) => void problems.push(error) };
    const membership = await log.join('settings', [CONFIG], (assignment) => handSettings(assignment, options));
    membership.done.catch(() => undefined);
    member = {
      close: async () => {
        store.expelNode(name);
        await mine.close();
      },
    };
  };
  await join();
  closes.push(async () => {
    await member.close();
    await inner.close();
  });
  /** What a node gets, in its order. */
  const got = async (node: string): Promise<readonly string[]> => {
    const partition = partitionOf(node, PARTITIONS);
    const { end } = await inner.range(OUTBOX, partition);
    const values: string[] = [];
    if (end === 0) return values;
    for await (const batch of inner.read({ topic: OUTBOX, partition, offset: 0 }, never, { until: end }))
      for (const { key, headers, value } of batch)
        if (key === node) values.push(headers[LINKED_TOPIC] === CONFIG && headers.kept === 'as it was' ? String(value) : 'not a setting');
    return values;
  };
  return {
    problems,
    get log() {
      return log;
    },
    changes: async (count: number) => {
      for (let i = 0; i < count; i++)
        await inner.append([{ topic: CONFIG, key: CONFIG_LOG_KEY, headers: { kept: 'as it was' }, value: `change ${++changes}` }]);
    },
    comes: (node: string, epoch: number) => views.put([{ collection: PEERS, id: node, version: epoch, doc: { node_id: node, epoch } }]),
    gets: async (node: string, expected: readonly string[]) => {
      const deadline = performance.now() + LIMIT_MS;
      while ((await got(node)).length < expected.length && performance.now() < deadline) await pause(1, never);
      expect(await got(node)).toEqual(expected);
    },
    again: async () => {
      await member.close();
      await join();
    },
  };
};
const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => `change ${i + 1}`);

describe('a change of a setting', () => {
  it('goes to every edge node, also one that never came, in order', async () => {
    const world = await openWorld();
    await world.changes(3);
    for (const node of EDGES) await world.gets(node, upTo(3));
    await world.changes(1);
    for (const node of EDGES) await world.gets(node, upTo(4));
  });

  it('goes once, whoever hands it on', async () => {
    const world = await openWorld();
    await world.changes(2);
    await world.gets('edge-1', upTo(2));
    await world.again();
    await world.changes(1);
    for (const node of EDGES) await world.gets(node, upTo(3));
    world.log.failAt('commit:before');
    await world.changes(1);
    for (const node of EDGES) await world.gets(node, upTo(4));
    world.log.failAt('commit:before', new Fault('fenced', 'fenced', 'another one has it'));
    await world.changes(1);
    await world.again();
    for (const node of EDGES) await world.gets(node, upTo(5));
  });

  it('goes again to a node that comes with a new store, with all before it, and to no other', async () => {
    const world = await openWorld();
    await world.comes('edge-1', 1);
    await world.changes(2);
    await world.gets('edge-1', upTo(2));
    await world.comes('edge-1', 2);
    await world.gets('edge-1', [...upTo(2), ...upTo(2)]);
    await world.changes(1);
    await world.gets('edge-1', [...upTo(2), ...upTo(3)]);
    await world.gets('edge-2', upTo(3));
  });
});
