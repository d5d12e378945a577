// The life of this node's store, as the core is told of it. Kept as state of a group in the same store: whoever restores the store restores this with it.
//
// L1. A store that lost its newest records (it was restored from a backup) is known by its end when it was opened: the core has more. However much is written
// before the core answers, what counts is the lowest end at any opening since the core agreed: the floor. It is on disk before anything is asked, and gone before
// anything is sent. L2. Of several processes, one that opened the store before the core last agreed has nothing to say of it: nobody restores a store that is in use.
// L3. A new life and what it continues are one commit, and are told until the core knows: a crash, or a line that breaks in between, doubles nothing.
import { type DataOf, LIFECYCLE, NODES, type NodeAbilities, OUTBOX, partitionOf, TELEMETRY, type Topic } from '../../schemas/index.js';
import type { Assignment, Log, Outgoing } from '../../streams/index.js';
import { agreedRecord, newStore, type StoreIdOptions, storeIdOf } from './store-id.js';

export const SENT_TOPICS: readonly Topic[] = [LIFECYCLE, OUTBOX, TELEMETRY];

/** `<topic>/<partition>` -> the offset that the next record will get. */
export type Ends = Readonly<Record<string, number>>;
type Continues = NonNullable<DataOf<'dats.node.joined'>['continues']>;

/** How a process found the store. */
export interface Opening {
  readonly ends: Ends;
  /** Of the node's partition of the nodes topic. */
  readonly nodesEnd: number;
}

interface Life {
  readonly store_id: string;
  readonly continues?: Continues;
  readonly floor?: Ends;
  /** Where the nodes topic ended when the core agreed. */
  readonly agreedAt?: number;
}

export interface StoreLife {
  readonly storeId: string;
  readonly continues: Continues | undefined;
  /** Has the core more than this store had when it was opened? */
  isBehind(cursors: Ends): Promise<boolean>;
  /** The core and this store are of one mind. */
  agree(epoch: number): Promise<void>;
  /** Begins a new life, which continues this one as far as the store had it. */
  renew(): Promise<void>;
}

export interface StoreLifeOptions extends StoreIdOptions {
  readonly abilities: () => NodeAbilities;
}

export type LifeKeeper = Pick<Assignment, 'committed' | 'state' | 'commit'>;

const KEY = 'life';

const endsOf = async (log: Pick<Log, 'partitions' | 'range'>): Promise<Ends> => {
  const ends: Record<string, number> = {};
  for (const topic of SENT_TOPICS)
    for (let partition = 0; partition < log.partitions(topic); partition++)
      ends[`${topic}/${partition}`] = (await log.range(topic, partition)).end;
  return ends;
};

const nodesEndOf = async (log: Pick<Log, 'partitions' | 'range'>, node: string): Promise<number> =>
  (await log.range(NODES, partitionOf(node, log.partitions(NODES)))).end;

/** To be asked before the process writes anything. */
export const openingOf = async (log: Pick<Log, 'partitions' | 'range'>, node: string): Promise<Opening> => ({
  nodesEnd: await nodesEndOf(log, node),
  ends: await endsOf(log),
});

const lower = (a: Ends | undefined, b: Ends): Ends =>
  a === undefined ? b : Object.fromEntries(Object.entries(b).map(([name, end]) => [name, Math.min(end, a[name] ?? end)]));

/** L1, L2. */
const asFound = (life: Life, opening: Opening | undefined): Life =>
  opening === undefined || (life.agreedAt ?? -1) >= opening.nodesEnd ? life : { ...life, floor: lower(life.floor, opening.ends) };

/** @throws Fault of the log */
export const openStoreLife = async (
  keeper: LifeKeeper,
  options: StoreLifeOptions,
  opening: Opening | undefined,
  signal: AbortSignal,
): Promise<StoreLife> => {
  const { log, node } = options;
  const saved = await keeper.state(KEY);
  let life: Life =
    saved === undefined ? { store_id: (await storeIdOf(options, signal)).id } : (JSON.parse(Buffer.from(saved).toString('utf8')) as Life);
  const keep = async (next: Life, outputs: readonly Outgoing[] = []): Promise<void> => {
    await keeper.commit({ next: keeper.committed, outputs, states: new Map([[KEY, JSON.stringify(next)]]) });
    life = next;
  };
  await keep(asFound(life, opening));
  return {
    get storeId() {
      return life.store_id;
    },
    get continues() {
      return life.continues;
    },
    isBehind: async (cursors) => {
      const ends = life.floor ?? (await endsOf(log));
      return Object.entries(cursors).some(([name, cursor]) => cursor > (ends[name] ?? 0));
    },
    agree: async (epoch) => {
      if (life.floor === undefined) return;
      const { floor: _passed, ...rest } = life;
      await keep({ ...rest, agreedAt: await nodesEndOf(log, node) }, [agreedRecord(options, options.abilities(), life.store_id, epoch)]);
    },
    renew: async () => {
      const { storeId, record } = newStore(options);
      const ends = life.floor ?? (await endsOf(log));
      await keep({ store_id: storeId, continues: { store_id: life.store_id, ends }, floor: ends }, [record]);
    },
  };
};
