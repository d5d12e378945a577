// The receiver on the memory log: records, cursor and offset are one commit, whatever fails, and whoever sends what how often.
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type DataOf,
  type DatsEvent,
  dataschemaOf,
  Fault,
  LIFECYCLE,
  LINK,
  type LinkBatch,
  linkedFromOf,
  NODES,
  newId,
  TELEMETRY,
  type Topic,
} from '../../schemas/index.js';
import { eventOf, isCopy, outgoing, type Recorded, type ViewStore } from '../../streams/index.js';
import { MemoryStore, openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { type FaultyLog, faultyLog } from '../../streams/testing/faulty-log.js';
import { type PackedRecord, PEERS, type PeerView, packRecords, receiveLink } from './index.js';

const never = new AbortController().signal;
const NODE = 'edge-1';
const ABILITIES = { version: '1', roles: 'all', models: [], slots: {}, projects: ['edge-1', 'edge-1-*'] };

const said = <T extends 'dats.node.joined' | 'dats.link.batch'>(type: T, data: DataOf<T>): DatsEvent =>
  ({
    specversion: '1.0',
    id: newId(),
    source: '/gateway',
    type,
    time: '2026-11-27T09:00:00.000Z',
    subject: NODE,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: 'default',
    correlationid: newId(),
    actor: NODE,
    configversion: 'test',
    data,
  }) as unknown as DatsEvent;

const headersOf = (id: string): Record<string, string> => ({ id, type: 'dats.task.created', note: 'größe "\\\n' });
const packed = (first: number, next: number, partition = 0): readonly PackedRecord[] =>
  Array.from({ length: next - first }, (_, i) => ({
    offset: first + i,
    key: 'edge-1-docs',
    headers: headersOf(`p${partition}-${first + i}`),
    value: (first + i) % 5 === 0 ? Uint8Array.of(0, 255, first + i) : `{"n": ${first + i}, "text": "größe 😀"}`,
  }));

const KILLED = new Fault('fatal', 'killed', 'killed here (injected)');

interface World {
  readonly log: FaultyLog;
  readonly views: ViewStore;
  readonly problems: unknown[];
  joins(store: string, over?: Partial<DataOf<'dats.node.joined'>>): Promise<unknown>;
  sends(first: number, next: number, over?: Partial<LinkBatch>): Promise<unknown>;
  /** Resolves when everything that was sent so far is committed. */
  settled(): Promise<void>;
  peer(): Promise<PeerView | undefined>;
  records(topic: Topic): Promise<readonly Recorded[]>;
  /** SIGKILL, in effect: the receiver is another one from here on. */
  again(): Promise<void>;
  close(): Promise<void>;
}

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

const until = async (condition: () => Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
};

const openReceiver = async (views: ViewStore = openMemoryViewStore()): Promise<World> => {
  const store = new MemoryStore();
  const inner = openMemoryLog({ partitions: 1, store });
  const log = faultyLog(inner);
  const problems: unknown[] = [];
  const receiving = {
    views,
    self: 'core',
    homeOf: (project: string) => (project.startsWith(NODE) ? NODE : 'core'),
    configVersion: () => 'test',
    now: () => 1_000,
    onProblem: (error: unknown) => void problems.push(error),
  };
  let joins = 0;
  const join = async (): Promise<{ leave(): Promise<void> }> => {
    joins += 1;
    const member = openMemoryLog({ partitions: 1, store, node: `core-${joins}` });
    const faulty = faultyLog(member);
    faults = faulty;
    const membership = await faulty.join('link', [LINK], (assignment) => receiveLink(assignment, receiving));
    membership.done.catch(() => undefined);
    const name = `core-${joins}`;
    return {
      leave: async () => {
        store.expelNode(name);
        await member.close();
      },
    };
  };
  let faults: FaultyLog = log;
  let member = await join();
  const append = (event: DatsEvent) => inner.append([outgoing(LINK, event, NODE)]);
  const read = async (topic: Topic): Promise<readonly Recorded[]> => {
    const { end } = await inner.range(topic, 0);
    const found: Recorded[] = [];
    if (end > 0) for await (const batch of inner.read({ topic, partition: 0, offset: 0 }, never, { until: end })) found.push(...batch);
    return found;
  };
  const world: World = {
    get log() {
      return faults;
    },
    views,
    problems,
    joins: (store_id, over = {}) => append(said('dats.node.joined', { ...ABILITIES, node_id: NODE, store_id, ...over })),
    sends: async (first, next, over = {}) => {
      const place = { node_id: NODE, epoch: 1, topic: LIFECYCLE, partition: 0, first, next } as const;
      const batch: LinkBatch = { ...place, ...(await packRecords(packed(first, next, over.partition))), ...over };
      return append(said('dats.link.batch', batch));
    },
    settled: () =>
      until(async () => {
        const [lag] = await inner.lag('link', [LINK]);
        return lag?.lag === 0;
      }),
    peer: async () => views.get<PeerView>(PEERS, NODE),
    records: read,
    again: async () => {
      await member.leave();
      member = await join();
    },
    close: async () => {
      await member.leave();
      await inner.close();
    },
  };
  worlds.push(world);
  return world;
};

const offsetsOf = (records: readonly Recorded[], epoch = 1, partition = 0): readonly number[] =>
  records.flatMap(({ headers }) => {
    const from = linkedFromOf(headers);
    return from?.epoch === epoch && from.partition === partition ? [from.offset] : [];
  });
const upTo = (n: number, from = 0): readonly number[] => Array.from({ length: n - from }, (_, i) => from + i);

describe('the receiver', () => {
  it('copies records byte for byte, and says whence (R3)', async () => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.sends(0, 7);
    await world.settled();
    const copies = await world.records(LIFECYCLE);
    expect(copies.map(({ key, headers, value }) => ({ key, headers: { ...headers }, value: Buffer.from(value as Uint8Array) }))).toEqual(
      packed(0, 7).map(({ offset, key, headers, value }) => ({
        key,
        headers: { ...headers, linkedfrom: `1/p0-${offset}/${NODE}` },
        value: Buffer.from(value as Uint8Array),
      })),
    );
    expect(copies.every(isCopy)).toBe(true);
    await until(async () => (await world.peer())?.cursors['dats.lifecycle/0'] === 7);
  });

  it('says once that a node came, and again when its store or what it can do is another', async () => {
    const world = await openReceiver();
    for (const [store, version] of [
      ['store-a1', '1'],
      ['store-a1', '1'],
      ['store-a1', '2'],
      ['store-b2', '2'],
    ] as const)
      await world.joins(store, { version });
    await world.settled();
    const told = (await world.records(NODES)).map((record) => eventOf(record));
    expect(
      told.map((event) => event.type === 'dats.node.registered' && [event.data.store_id, event.data.version, event.data.epoch]),
    ).toEqual([
      ['store-a1', '1', 1],
      ['store-a1', '2', 1],
      ['store-b2', '2', 2],
    ]);
  });

  it.each<readonly [string, readonly (readonly [number, number])[], number]>([
    [
      'that comes twice',
      [
        [0, 5],
        [0, 5],
        [5, 8],
        [5, 8],
        [0, 8],
      ],
      8,
    ],
    [
      'that overlaps what is known',
      [
        [0, 5],
        [3, 9],
        [1, 4],
        [8, 10],
      ],
      10,
    ],
    [
      'that leaves a gap',
      [
        [0, 5],
        [6, 9],
        [5, 6],
      ],
      6,
    ],
  ])('takes each record once and in order of a batch %s', async (_what, batches, end) => {
    const world = await openReceiver();
    await world.joins('store-a1');
    for (const [first, next] of batches) await world.sends(first, next);
    await world.settled();
    expect(offsetsOf(await world.records(LIFECYCLE))).toEqual(upTo(end));
  });

  it('keeps cursors of topics and partitions apart', async () => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.sends(0, 3);
    await world.sends(0, 4, { partition: 1 });
    await world.sends(0, 2, { topic: TELEMETRY });
    await world.sends(4, 5, { partition: 1 });
    await world.settled();
    const copies = await world.records(LIFECYCLE);
    expect([offsetsOf(copies), offsetsOf(copies, 1, 1), offsetsOf(await world.records(TELEMETRY))]).toEqual([upTo(3), upTo(5), upTo(2)]);
  });

  it('takes nothing of a node that did not join, of an older store, or of an epoch to come', async () => {
    const world = await openReceiver();
    await world.sends(0, 3);
    await world.joins('store-a1');
    await world.sends(0, 3);
    await world.joins('store-b2');
    await world.sends(3, 6);
    await world.sends(0, 2, { epoch: 2 });
    await world.joins('store-a1');
    await world.sends(0, 9, { epoch: 3 });
    await world.settled();
    const copies = await world.records(LIFECYCLE);
    expect([offsetsOf(copies), offsetsOf(copies, 2), copies.length]).toEqual([upTo(3), upTo(2), 5]);
    await until(async () => (await world.peer())?.cursors['dats.lifecycle/0'] === 2);
    expect(await world.peer()).toMatchObject({ epoch: 2, store_id: 'store-b2', earlier: ['store-a1'] });
  });

  it('goes on where both are the same with a store that was restored, and says what is missing', async () => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.sends(0, 9);
    await world.joins('store-b2', { continues: { store_id: 'store-a1', ends: { 'dats.lifecycle/0': 6 } } });
    await world.sends(6, 8, { epoch: 2 });
    await world.settled();
    const copies = await world.records(LIFECYCLE);
    expect([offsetsOf(copies), offsetsOf(copies, 2)]).toEqual([upTo(9), upTo(8, 6)]);
    const missing = [{ epoch: 1, topic: LIFECYCLE, partition: 0, records: 3 }];
    await until(async () => (await world.peer())?.epoch === 2);
    expect((await world.peer())?.missing).toEqual(missing);
    const told = (await world.records(NODES)).map((record) => eventOf(record)).at(-1);
    expect(told?.type === 'dats.node.registered' && told.data.missing).toEqual(missing);
  });

  it('passes over a damaged batch and tells it; its cursor does not move, and the same sent whole is taken (R5)', async () => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.sends(0, 3);
    await world.sends(3, 6, { records: 'bm8gZ3ppcA==' });
    await world.sends(3, 6, { count: 2 });
    await world.settled();
    expect(offsetsOf(await world.records(LIFECYCLE))).toEqual(upTo(3));
    expect(world.problems).toMatchObject([{ code: 'bad_batch' }, { code: 'bad_batch' }]);
    await world.sends(3, 6);
    await world.settled();
    expect(offsetsOf(await world.records(LIFECYCLE))).toEqual(upTo(6));
  });

  it('passes over what is no event', async () => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.log.append([{ topic: LINK, key: NODE, headers: { type: 'dats.link.batch' }, value: '{' }]);
    await world.sends(0, 3);
    await world.settled();
    expect(offsetsOf(await world.records(LIFECYCLE))).toEqual(upTo(3));
    expect(world.problems).toHaveLength(1);
  });

  it("takes nothing into topics that are no node's to fill", async () => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.sends(0, 3, { topic: 'dats.config' });
    await world.sends(0, 3, { topic: 'dats.quota' });
    await world.settled();
    expect([await world.records('dats.config'), await world.records('dats.quota')]).toEqual([[], []]);
  });
});

describe('a receiver that dies', () => {
  it('between commit and view says in the end what it committed, and takes nothing twice (R1, R2)', async () => {
    const inner = openMemoryViewStore();
    let away = false;
    const views: ViewStore = {
      ...inner,
      put: async (...args) => {
        if (away) throw new Fault('retryable', 'views_unavailable', 'the views do not answer (injected)');
        return inner.put(...args);
      },
    };
    const world = await openReceiver(views);
    await world.joins('store-a1');
    await world.sends(0, 3);
    await until(async () => (await world.peer())?.cursors['dats.lifecycle/0'] === 3);
    away = true;
    await world.sends(3, 6);
    await world.settled();
    await until(async () => world.problems.length > 0);
    expect((await world.peer())?.cursors['dats.lifecycle/0']).toBe(3);
    away = false;
    await world.again();
    await until(async () => (await world.peer())?.cursors['dats.lifecycle/0'] === 6);
    await world.sends(3, 6);
    await world.sends(6, 7);
    await world.settled();
    expect(offsetsOf(await world.records(LIFECYCLE))).toEqual(upTo(7));
  });

  it.each(['commit:before', 'commit:acknowledgement'] as const)('at %s takes everything once', async (point) => {
    const world = await openReceiver();
    await world.joins('store-a1');
    await world.settled();
    world.log.failAt(point, KILLED);
    await world.sends(0, 4);
    await until(async () => world.log.failures.length === 1);
    await world.again();
    await world.sends(0, 4);
    await world.sends(4, 6);
    await world.settled();
    expect(offsetsOf(await world.records(LIFECYCLE))).toEqual(upTo(6));
  });

  it('at any moment, while batches come in any order and however often, takes each record once and in order', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ first: fc.nat(20), length: fc.integer({ min: 1, max: 8 }), partition: fc.nat(1) }) },
      { weight: 2, arbitrary: fc.constantFrom('kill', 'commit:before', 'commit:acknowledgement', 'join') },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const world = await openReceiver();
        await world.joins('store-a1');
        for (const one of steps) {
          if (one === 'kill') await world.again();
          else if (one === 'join') await world.joins('store-a1');
          else if (one === 'commit:before') world.log.failAt(one);
          // Written, and nobody learned of it: the process that did not learn of it is gone.
          else if (one === 'commit:acknowledgement') world.log.failAt(one, KILLED);
          else await world.sends(one.first, one.first + one.length, { partition: one.partition });
        }
        await world.again();
        for (const partition of [0, 1]) await world.sends(0, 30, { partition });
        await world.settled();
        const copies = await world.records(LIFECYCLE);
        expect([offsetsOf(copies), offsetsOf(copies, 1, 1), copies.length]).toEqual([upTo(30), upTo(30), 60]);
      }),
      { numRuns: 60 },
    );
  });
});
