// Brings what lies in the core's outbox for this node: onto disk here, from where the receiver (processors/link) takes it in.
//
// F1. Where to go on is what the receiver has taken in: what was fetched and not taken in is fetched again, and known by its offset. F2. The core is a peer like any
// other: a life of its store has an epoch here, and a core that was restored from older goes on where both are the same.
import { stampAlone } from '../../processors/host/index.js';
import { sayOn } from '../../processors/index.js';
import { cursorName, cursorOf, PEERS, type PeerView, unpackRecords } from '../../processors/link/index.js';
import { type DataOf, Fault, type JoinedLink, LINK, type LinkBatch, type NodeAbilities, OUTBOX } from '../../schemas/index.js';
import { type Log, type Outgoing, outgoing, pause, type ViewStore } from '../../streams/index.js';
import type { Contents } from './contents.js';
import type { Line } from './line.js';

export interface FetchingOptions {
  readonly log: Pick<Log, 'append'>;
  readonly views: Pick<ViewStore, 'get'>;
  readonly line: Line;
  readonly contents: Contents;
  readonly configVersion: () => string;
  readonly time: () => string;
}

/** The receiver takes milliseconds; longer than that, and the session begins anew. */
const TAKEN_MS = 10_000;
const LOOK_MS = 5;
const NO_ABILITIES: NodeAbilities = { version: '', roles: '', models: [], slots: {}, projects: [] };

type Said = 'dats.node.joined' | 'dats.link.batch';

export const fetchOutbox = async (
  { core, core_store, outbox }: JoinedLink,
  { log, views, line, contents, configVersion, time }: FetchingOptions,
  signal: AbortSignal,
): Promise<void> => {
  const record = <T extends Said>(type: T, data: DataOf<T>): Outgoing => {
    const by = { source: '/link', actor: core, configversion: configVersion(), time: time() };
    return outgoing(LINK, stampAlone(sayOn(LINK, core, type, core, data), by), core);
  };
  const peer = async (): Promise<PeerView | undefined> => views.get<PeerView>(PEERS, core);
  const until = async (isIt: (known: PeerView | undefined) => boolean): Promise<void> => {
    const deadline = performance.now() + TAKEN_MS;
    while (!signal.aborted && !isIt(await peer())) {
      if (performance.now() > deadline) throw new Fault('retryable', 'link_busy', 'what the core sent was not taken in here in time');
      await pause(LOOK_MS, signal);
    }
  };

  const join = async (): Promise<void> => {
    const known = await peer();
    const at = known === undefined ? 0 : cursorOf(known, OUTBOX, outbox.partition);
    const sameStore = known !== undefined && storeOf(known.store_id) === core_store;
    if (sameStore && at <= outbox.end) return;
    // F2: the same store, shorter than it was.
    const store_id = sameStore ? `${core_store}~${known.epoch + 1}` : core_store;
    const ends = { [cursorName(OUTBOX, outbox.partition)]: outbox.end };
    const continues = sameStore ? { continues: { store_id: known.store_id, ends } } : {};
    await log.append([record('dats.node.joined', { node_id: core, store_id, ...NO_ABILITIES, ...continues })]);
    await until((now) => now?.store_id === store_id);
  };

  const take = async (batch: LinkBatch, epoch: number): Promise<void> => {
    await contents.pull(await unpackRecords(batch), signal);
    await log.append([record('dats.link.batch', { ...batch, epoch })]);
    await until((now) => now !== undefined && cursorOf(now, OUTBOX, batch.partition) >= batch.next);
  };

  await join();
  while (!signal.aborted) {
    const known = (await peer())!;
    const batch = await line.outbox(cursorOf(known, OUTBOX, outbox.partition), signal);
    if (batch !== undefined) await take(batch, known.epoch);
  }
};

/** Without what F2 put behind it. */
const storeOf = (store: string): string => store.split('~', 1)[0]!;
