// An edge node's link to the core: joins, sends what the core does not have, says that it is there; begins anew whenever the line is down.
//
// U1. It works while cut off as ever: nothing waits for the link, and everything that happened goes out when it is back. U2. Between two tries it waits, longer each time
// until something gets through, and never longer than `retry_max_ms`, for ever: a line that is down for hours comes back by itself. U3. A session ends as a whole: one call that fails ends
// all, and the next one begins with what the core has. U4. A store that lost its newest records (restored from a backup) begins a new life from where it and
// the core agree (store-life.ts), so that what it says now is not taken for what it said then.
import type { LineState } from '../../gateway/index.js';
import type { ModelGateway, ModelLender } from '../../models/index.js';
import type { ArtifactStore } from '../../processors/index.js';
import { type JoinedLink, type NodeVitals, type Servers, toFault } from '../../schemas/index.js';
import { type Assignment, type Log, pause, type ViewStore } from '../../streams/index.js';
import { backoffMs, type Load } from '../../streams/runtime/index.js';
import { openContents } from './contents.js';
import { fetchOutbox } from './fetching.js';
import { lendModels } from './lending.js';
import type { Line } from './line.js';
import { openBatchSize, openSending, type Sending } from './sending.js';
import { type Opening, openStoreLife, SENT_TOPICS, type StoreLife, type StoreLifeOptions } from './store-life.js';
import { openThrottle } from './throttle.js';

export interface UplinkOptions extends StoreLifeOptions {
  readonly log: Log;
  /** How this process found the store; undefined: it cannot have been restored. */
  readonly opening: Opening | undefined;
  readonly line: Line;
  readonly views: ViewStore;
  readonly artifacts: ArtifactStore;
  readonly models: Pick<ModelGateway, 'status'> & ModelLender;
  /** Models that the core may ask for. */
  readonly lent: ReadonlySet<string>;
  readonly link: Servers['link'];
  /** Sending gives way to what people wait for. */
  readonly load: Load;
  readonly vitals: () => Promise<NodeVitals>;
  /** Resolves when it is otherwise whether this node takes new work: that is said at once. */
  readonly changed: (known: NodeVitals['admission'], signal: AbortSignal) => Promise<void>;
  readonly beatMs: number;
  readonly onProblem: (error: unknown) => void;
  /** Told once of what a new store of this node lacks that the core has. */
  readonly onMissing: (missing: JoinedLink['missing'], epoch: number) => void;
}

export type UplinkState = LineState;

/** The partition whose owner has the line. */
export type UplinkPlace = Pick<Assignment, 'committed' | 'revoked' | 'state' | 'commit'>;

export interface Uplink {
  state(): UplinkState;
  /** Records that the core does not have, as far as it was known when there was a line; undefined: there was none, or another process has it. */
  unsent(): Promise<number | undefined>;
  /** Until the place is revoked. @throws Fault fatal, of the log */
  run(place: UplinkPlace): Promise<void>;
}

const BACKOFF_BASE_MS = 200;

/** @throws Fault of line and log */
const join = async (life: StoreLife, { line, node, abilities }: UplinkOptions, signal: AbortSignal): Promise<JoinedLink> => {
  const ask = (): Promise<JoinedLink> => {
    const { storeId: store_id, continues } = life;
    return line.join({ node_id: node, store_id, ...abilities(), ...(continues === undefined ? {} : { continues }) }, signal);
  };
  let joined = await ask();
  if (await life.isBehind(joined.cursors)) {
    // U4.
    await life.renew();
    joined = await ask();
  }
  await life.agree(joined.epoch);
  return joined;
};

export const openUplink = (options: UplinkOptions): Uplink => {
  const { log, artifacts, models, lent, link, load, onProblem, onMissing, beatMs, vitals, changed, node, opening } = options;
  let state: UplinkState = { connected: false, detail: 'it was not tried yet' };
  const throttle = openThrottle(link.bytes_per_s);
  const size = openBatchSize();
  /** Tries since anything got through. */
  let tries = 0;
  const sent = { bytes: 0, batches: 0 };
  /** Of the newest session. */
  let sendings: readonly Sending[] | undefined;
  const line: Line = {
    ...options.line,
    send: async (batch, signal) => {
      const next = await options.line.send(batch, signal);
      sent.bytes += batch.records.length;
      sent.batches += 1;
      return next;
    },
  };

  const backlogOf = async (all: readonly Sending[]): Promise<number> =>
    (await Promise.all(all.map((sending) => sending.backlog()))).reduce((sum, one) => sum + one, 0);

  const beats = async (epoch: number, all: readonly Sending[], signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const cursors = Object.fromEntries(all.map(({ topic, partition, cursor }) => [`${topic}/${partition}`, cursor()]));
      const backlog = await backlogOf(all);
      state = { connected: true, epoch, backlog };
      const now = await vitals();
      await line.beat({ node_id: node, epoch, cursors, backlog, sent: { ...sent }, vitals: now }, signal);
      tries = 0;
      const next = new AbortController();
      const until = AbortSignal.any([signal, next.signal]);
      await Promise.race([pause(beatMs, until), changed(now.admission, until)]);
      next.abort();
    }
  };

  const session = async (joined: JoinedLink, signal: AbortSignal): Promise<void> => {
    const { epoch, cursors } = joined;
    const contents = openContents(line, artifacts);
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const sendingOptions = {
      log,
      line,
      throttle,
      load,
      size,
      contents,
      node,
      epoch,
      flushMs: link.flush_ms,
      batchRecords: link.batch_records,
      onTaken: () => {
        tries = 0;
      },
    };
    const all = SENT_TOPICS.flatMap((topic) =>
      Array.from({ length: log.partitions(topic) }, (_, partition) =>
        openSending(topic, partition, cursors[`${topic}/${partition}`] ?? 0, sendingOptions),
      ),
    );
    sendings = all;
    const parts = [
      beats(epoch, all, until),
      fetchOutbox(joined, { ...options, line, contents }, until),
      lendModels({ line, models, lent, onProblem }, until),
      ...all.map((sending) => sending.run(until)),
    ];
    try {
      await Promise.all(parts);
    } catch (error) {
      if (!signal.aborted && toFault(error).code === 'link_down') size.lost();
      throw error;
    } finally {
      over.abort();
      await Promise.allSettled(parts);
    }
  };

  /** @returns how long to wait, in milliseconds */
  const failed = (error: unknown, told: string | undefined): number => {
    const fault = toFault(error);
    if (fault.kind === 'fatal' || fault.kind === 'fenced') throw fault;
    if (told !== fault.code) onProblem(fault);
    state = { connected: false, detail: fault.message };
    // What no try mends may still be mended by a person.
    if (fault.kind === 'terminal') return link.retry_max_ms;
    return backoffMs(Math.max(1, tries), { baseMs: BACKOFF_BASE_MS, maxMs: link.retry_max_ms }, Math.random);
  };

  return {
    state: () => ({ ...state, sent: { ...sent } }),
    unsent: async () => (sendings === undefined ? undefined : backlogOf(sendings)),
    run: async (place) => {
      const signal = place.revoked;
      let life: StoreLife | undefined;
      let told: string | undefined;
      let toldOf = 0;
      while (!signal.aborted) {
        tries += 1;
        try {
          life ??= await openStoreLife(place, options, opening, signal);
          const joined = await join(life, options, signal);
          state = { connected: true, epoch: joined.epoch };
          if (joined.missing.length > 0 && toldOf !== joined.epoch) onMissing(joined.missing, joined.epoch);
          toldOf = joined.epoch;
          told = undefined;
          await session(joined, signal);
        } catch (error) {
          if (signal.aborted) break;
          line.hangUp();
          const waitMs = failed(error, told);
          told = toFault(error).code;
          await pause(waitMs, signal);
        }
      }
      line.hangUp();
      state = { connected: false, detail: 'it has ended' };
    },
  };
};
