// Who is lost and who is back, on the memory log: each said once, whoever dies when.
import { afterEach, describe, expect, it } from 'vitest';
import { type DataOf, Fault, NODES, type NodeBeat, newId, TELEMETRY, type Topic } from '../../schemas/index.js';
import { eventOf, outgoing, pause, type ViewStore } from '../../streams/index.js';
import { MemoryStore, openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { type FaultyLog, faultyLog } from '../../streams/testing/faulty-log.js';
import { sayOn } from '../draft.js';
import { stamp } from '../host/index.js';
import { BEATS, keepNodes, PRESENCE, type PresenceView } from './index.js';
import { IDLE_VITALS } from './testing/vitals.js';

const NODE = 'edge-1';
const AWAY_MS = 15_000;
const LIMIT_MS = 5_000;
/** Looks at the clock in a look at the nodes, at most. */
const CLOCKS = 5;
const never = new AbortController().signal;
const REGISTERED: DataOf<'dats.node.registered'> = {
  node_id: NODE,
  store_id: 'store-of-edge-1',
  epoch: 1,
  version: '1',
  roles: 'all',
  models: [],
  slots: {},
  projects: [],
};

const eventually = async (what: string, isIt: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await isIt())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${LIMIT_MS} ms`);
    await pause(1, never);
  }
};

const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

const openWorld = async (views: ViewStore = openMemoryViewStore()) => {
  const store = new MemoryStore();
  const inner = openMemoryLog({ partitions: 1, store });
  const problems: unknown[] = [];
  let clock = 0;
  let beats = 0;
  /** How often the clock was: some times in each look. */
  let clocks = 0;
  let readable = true;
  const watched: ViewStore = {
    ...views,
    put: (documents) => views.put(documents),
    get: async (collection, id) => {
      if (!readable) throw new Fault('retryable', 'views_unavailable', 'away');
      return views.get(collection, id);
    },
  };
  const options = {
    views: watched,
    self: 'core',
    isEdge: (node: string) => node.startsWith('edge'),
    awayMs: AWAY_MS,
    lookMs: 1,
    configVersion: () => 'c1',
    now: () => 1_764_000_000_000,
    monotonic: () => {
      clocks += 1;
      return clock;
    },
    onProblem: (error: unknown) => void problems.push(error),
  };
  let joins = 0;
  let log: FaultyLog;
  let member: { close(): Promise<void> };
  const join = async (): Promise<void> => {
    const name = `core-${++joins}`;
    const mine = openMemoryLog({ partitions: 1, store, node: name });
    log = faultyLog(mine);
    const membership = await log.join('nodes', [NODES], (assignment) => keepNodes(assignment, options));
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
  const read = async (topic: Topic) => {
    const { end } = await inner.range(topic, 0);
    const types: string[] = [];
    if (end > 0)
      for await (const batch of inner.read({ topic, partition: 0, offset: 0 }, never, { until: end }))
        types.push(...batch.map(({ type }) => type));
    return types;
  };
  /** Everything that can be seen now was looked at. */
  const looked = async (): Promise<void> => {
    const from = clocks;
    await eventually('two more looks', () => clocks >= from + 2 * CLOCKS);
  };
  return {
    problems,
    views,
    get log() {
      return log;
    },
    registers: async () => {
      const draft = {
        ...sayOn(NODES, NODE, 'dats.node.registered', NODE, REGISTERED),
        chain: { projectid: 'default', correlationid: newId() },
      };
      const by = { source: '/link', actor: NODE, configversion: 'c', time: '2026-11-27T00:00:00.000Z' };
      await inner.append([outgoing(NODES, stamp(draft, by), NODE)]);
      await eventually('the registration is taken in', async () => (await inner.lag('nodes', [NODES]))[0]?.lag === 0);
      await looked();
    },
    beats: async (admission: NodeBeat['vitals']['admission'] = 'open') => {
      const at = ++beats;
      await views.put([
        {
          collection: BEATS,
          id: NODE,
          version: at,
          doc: { node_id: NODE, epoch: 1, backlog: 0, vitals: { ...IDLE_VITALS, admission }, at },
        },
      ]);
      await looked();
    },
    /** In steps in which the core is seen to be awake. */
    passes: async (ms: number) => {
      for (let left = ms; left > 0; left -= 1_000) {
        clock += Math.min(1_000, left);
        await looked();
      }
    },
    ticks: (ms: number) => {
      clock += ms;
    },
    jumps: async (ms: number) => {
      clock += ms;
      await looked();
    },
    canRead: (can: boolean) => {
      readable = can;
    },
    looked,
    said: async () => (await read(NODES)).filter((type) => type !== 'dats.node.registered'),
    alerts: () => read(TELEMETRY),
    events: async () => {
      const { end } = await inner.range(NODES, 0);
      const all = [];
      for await (const batch of inner.read({ topic: NODES, partition: 0, offset: 0 }, never, { until: end }))
        all.push(...batch.map(eventOf));
      return all;
    },
    again: async () => {
      await member.close();
      await join();
      await looked();
    },
  };
};

describe('a node that is not heard of', () => {
  it('is lost after three beats, once, with an alert; and back with the next beat, once', async () => {
    const world = await openWorld();
    await world.registers();
    await world.beats();
    await world.passes(AWAY_MS);
    expect(await world.said()).toEqual([]);
    await world.passes(1);
    expect(await world.said()).toEqual(['dats.node.lost']);
    expect(await world.alerts()).toEqual(['dats.ops.alert']);
    expect(await world.views.get<PresenceView>(PRESENCE, NODE)).toEqual({ node_id: NODE, lost: true });
    await world.passes(3 * AWAY_MS);
    await world.beats();
    await world.beats();
    expect(await world.said()).toEqual(['dats.node.lost', 'dats.node.returned']);
    expect(await world.views.get<PresenceView>(PRESENCE, NODE)).toEqual({ node_id: NODE, lost: false });
    expect((await world.events())[1]).toMatchObject({
      data: { node_id: NODE, epoch: 1, last_seen: '1970-01-01T00:00:00.001Z', drained: false },
    });
  });

  it('is lost without an alert where it had been drained', async () => {
    const world = await openWorld();
    await world.registers();
    await world.beats('drained');
    await world.passes(AWAY_MS + 1);
    expect(await world.said()).toEqual(['dats.node.lost']);
    expect(await world.alerts()).toEqual([]);
  });

  it('is not lost where it never came', async () => {
    const world = await openWorld();
    await world.passes(AWAY_MS + 1);
    expect(await world.said()).toEqual([]);
  });
});

describe('whoever listens', () => {
  it('and is another one from here on, says nothing again: not that it is lost, nor that it is back by a beat of before', async () => {
    const world = await openWorld();
    await world.registers();
    await world.beats();
    await world.passes(AWAY_MS + 1);
    await world.again();
    await world.passes(2 * AWAY_MS);
    expect(await world.said()).toEqual(['dats.node.lost']);
    await world.beats();
    expect(await world.said()).toEqual(['dats.node.lost', 'dats.node.returned']);
  });

  it('says what the one before could not commit', async () => {
    const world = await openWorld();
    await world.registers();
    await world.beats();
    world.log.failAt('commit:before', new Fault('fenced', 'fenced', 'another one has it'));
    await world.passes(AWAY_MS);
    world.ticks(1);
    await eventually('the commit that fails', () => world.log.failures.length === 1);
    expect(await world.said()).toEqual([]);
    await world.again();
    await world.passes(AWAY_MS + 1);
    expect(await world.said()).toEqual(['dats.node.lost']);
  });

  it('and could not listen for a while, gives every node its time', async () => {
    const world = await openWorld();
    await world.registers();
    await world.beats();
    await world.jumps(10 * AWAY_MS);
    await world.passes(AWAY_MS);
    expect(await world.said()).toEqual([]);
    world.canRead(false);
    await world.passes(3 * AWAY_MS);
    world.canRead(true);
    await world.passes(AWAY_MS);
    expect(await world.said()).toEqual([]);
    expect(world.problems.length).toBeGreaterThan(0);
    await world.passes(1);
    expect(await world.said()).toEqual(['dats.node.lost']);
  });
});
