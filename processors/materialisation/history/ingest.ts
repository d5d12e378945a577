// Brings the log into the analytics store: every record of a partition as a row, in batches, each once, whatever dies when.
//
// H1. A batch is written down before it is inserted (P1 of progress.ts), its token is its place: sent twice, by a retry or by an owner that does not know that
// it was replaced, it is in once. H2. After a crash the batch that was written down is inserted again and counted in every table; what is not right is made
// right (heal.ts). H3. A store that is slow or away holds the reading up, nothing else: the log waits. One batch is held. H4. Tables that were made anew
// (another generation) are filled from the first record on, after what an earlier writer may have left of this partition was taken away. H5. Rows are made some at a time: a
// process that catches up still does what else it has to. H6. Where it has much else to do, history gives way for GIVE_WAY_MS a batch: it catches up later.
import { setMaxListeners } from 'node:events';
import { setImmediate as breath } from 'node:timers/promises';
import { Fault, toFault } from '../../../schemas/index.js';
import { type Analytics, type Assignment, type Log, pause, type Recorded } from '../../../streams/index.js';
import { backoffMs, GIVE_WAY_MS, isBusy, type Load } from '../../../streams/runtime/index.js';
import type { TaskContext } from './context.js';
import { openFold } from './fold.js';
import { clearPartition, clearRange, mismatch, type Range } from './heal.js';
import { loadProgress, type Progress, saveProgress } from './progress.js';
import type { EventRow } from './row.js';
import { EVENTS } from './tables.js';

export interface HistoryOptions {
  readonly log: Log;
  readonly analytics: Analytics;
  /** Sees to it that the tables are there; their generation. Cheap when they are. @throws Fault */
  readonly generation: () => Promise<string>;
  /** Records wait for so long to share an insert, in milliseconds. */
  readonly flushMs: number;
  /** How often a quiet partition looks whether the tables are those it filled, in milliseconds; default LOOK_MS. */
  readonly lookMs?: number;
  /** H6; none: it never gives way. */
  readonly load?: Load;
  readonly onProblem?: (fault: Fault) => void;
  /** Told after every insert. */
  readonly onInserted?: (inserted: { readonly topic: string; readonly rows: number; readonly ms: number }) => void;
}

/** Records and bytes of a batch. */
const MAX_RECORDS = 8_192;
const MAX_BYTES = 16 * 1024 * 1024;
/** H5: rows that are made in one go, a few milliseconds. */
const BREATH_RECORDS = 128;
const BACKOFF = { baseMs: 100, maxMs: 5_000 };
/** How often a batch is cleared and inserted anew before it is left for a while. */
const HEALINGS = 3;
const LOOK_MS = 5_000;
/** After so long without a new record the last batch is noted as done, in milliseconds. */
const SETTLE_MS = 250;

/** Until the partition is revoked. What the store refuses is held like what it has no time for (H3): it is told, and tried again. @throws Fault `fenced`, `fatal` */
export const ingestHistory = async (assignment: Assignment, options: HistoryOptions): Promise<void> => {
  const { revoked } = assignment;
  // The group's offset never falls, whatever is begun anew.
  const kept = { committed: assignment.committed };
  let failures = 0;
  let told: string | undefined;
  while (!revoked.aborted) {
    try {
      await new Ingestion(assignment, options, kept, () => {
        failures = 0;
        told = undefined;
      }).run();
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind === 'fenced' || fault.kind === 'fatal') throw fault;
      if (revoked.aborted) return;
      if (told !== fault.code) options.onProblem?.(fault);
      told = fault.code;
      await pause(backoffMs(++failures, BACKOFF, Math.random), revoked);
    }
  }
};

interface Batch {
  readonly range: Range;
  /** Rows as JSON, one a line: rows themselves would outlive the young heap while they wait. */
  readonly lines: string;
  readonly count: number;
  /** Of the contexts, by these records. */
  readonly changes: ReadonlyMap<string, TaskContext | null>;
}

/** From what is noted to the end of the assignment, or the first failure. */
class Ingestion {
  readonly #assignment: Assignment;
  readonly #options: HistoryOptions;
  readonly #onProgress: () => void;
  #generation = '';
  #contexts = new Map<string, TaskContext>();
  #fold = openFold(this.#contexts);
  /** Changes by batches that are in, not saved yet. */
  #unsaved: ReadonlyMap<string, TaskContext | null> = new Map();
  readonly #kept: { committed: number };
  #position = 0;
  /** Nothing to save: what is noted ends at the position. */
  #noted = true;
  /** A batch was sent, and nobody knows whether it is in: its note must stay (P1). */
  #inDoubt = false;
  #settling: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  /** Ends the reading: the tables are others, or nothing can be saved. */
  readonly #left = new AbortController();

  constructor(assignment: Assignment, options: HistoryOptions, kept: { committed: number }, onProgress: () => void) {
    this.#assignment = assignment;
    this.#options = options;
    this.#kept = kept;
    this.#onProgress = onProgress;
  }

  async run(): Promise<void> {
    const { log, lookMs = LOOK_MS } = this.#options;
    const { topic, partition, revoked } = this.#assignment;
    await this.#begin();
    const looking = setInterval(() => void this.#look(), lookMs);
    looking.unref();
    setMaxListeners(0, revoked);
    const signal = AbortSignal.any([revoked, this.#left.signal]);
    try {
      for await (const records of log.read({ topic, partition, offset: this.#position }, signal, { maxBatch: MAX_RECORDS })) {
        const began = performance.now();
        for (const part of inBytes(records)) {
          if (signal.aborted) break;
          await this.#write(await this.#batchOf(part));
        }
        await pause(this.#waitMs(records.length) - (performance.now() - began), signal);
      }
      if (!revoked.aborted) this.#left.signal.throwIfAborted();
    } finally {
      clearInterval(looking);
      clearTimeout(this.#settling);
      await this.#saving.catch(() => undefined);
      if (!this.#noted && !this.#inDoubt && !this.#left.signal.aborted) await this.#save(this.#position).catch(() => undefined);
    }
  }

  /** Between the beginnings of two batches. */
  #waitMs(records: number): number {
    const { flushMs, load } = this.#options;
    if (isBusy(load)) return Math.max(flushMs, GIVE_WAY_MS);
    return records < MAX_RECORDS ? flushMs : 0;
  }

  /** Where the last owner was; what it may have left half done is completed. */
  async #begin(): Promise<void> {
    const { log, analytics, generation } = this.#options;
    const { topic, partition } = this.#assignment;
    this.#generation = await generation();
    const { progress, contexts } = await loadProgress(this.#assignment);
    if (progress?.generation !== this.#generation) {
      await clearPartition(analytics, { topic, partition });
      this.#unsaved = new Map([...contexts.keys()].map((task) => [task, null]));
      this.#position = (await log.range(topic, partition)).first;
      await this.#save(this.#position);
      return;
    }
    this.#contexts = contexts;
    this.#fold = openFold(contexts);
    this.#position = progress.from;
    if (progress.to > progress.from) await this.#recover(progress);
  }

  /** H2. */
  async #recover({ from, to }: Progress): Promise<void> {
    const { log, analytics } = this.#options;
    const { topic, partition, revoked } = this.#assignment;
    const records: Recorded[] = [];
    for await (const some of log.read({ topic, partition, offset: from }, revoked, { until: to })) records.push(...some);
    if (revoked.aborted) return;
    const rows: EventRow[] = [];
    const batch = await this.#batchOf(records, to, rows);
    await this.#insert(batch, '');
    for (let again = 1; ; again++) {
      const table = await mismatch(analytics, batch.range, rows);
      if (table === undefined) break;
      if (again > HEALINGS)
        throw new Fault(
          'retryable',
          'history_unhealed',
          `${table} has not what records ${from} to ${to - 1} of ${topic}/${partition} make`,
        );
      await clearRange(analytics, batch.range, rows);
      await this.#insert(batch, `/again-${this.#assignment.epoch}-${again}-${Date.now()}`);
    }
    this.#isIn(batch);
    await this.#save(this.#position);
  }

  /** @param rows takes the rows, where somebody wants them. */
  async #batchOf(records: readonly Recorded[], to = records.at(-1)!.offset + 1, rows?: EventRow[]): Promise<Batch> {
    const { topic, partition } = this.#assignment;
    const { load } = this.#options;
    const lines: string[] = [];
    let began = performance.now();
    for (const record of records) {
      const row = this.#fold.take(record);
      rows?.push(row);
      lines.push(JSON.stringify(row));
      if (lines.length % BREATH_RECORDS > 0) continue;
      load?.ours(performance.now() - began);
      await breath();
      began = performance.now();
    }
    load?.ours(performance.now() - began);
    const range = { topic, partition, from: this.#position, to };
    return { range, lines: lines.join('\n'), count: lines.length, changes: this.#fold.changed() };
  }

  /** H1. */
  async #write(batch: Batch): Promise<void> {
    clearTimeout(this.#settling);
    await this.#saving;
    await this.#save(batch.range.to);
    this.#inDoubt = true;
    await this.#insert(batch, '');
    this.#inDoubt = false;
    this.#isIn(batch);
    this.#onProgress();
    this.#settling = setTimeout(() => {
      this.#saving = this.#save(this.#position).catch((error: unknown) => this.#left.abort(toFault(error)));
    }, SETTLE_MS + this.#options.flushMs);
    this.#settling.unref();
  }

  async #insert({ range, lines, count }: Batch, suffix: string): Promise<void> {
    if (count === 0) return;
    const { topic, partition, from, to } = range;
    const began = performance.now();
    await this.#options.analytics.insert(EVENTS, lines, `${this.#generation}/${topic}/${partition}/${from}-${to}${suffix}`);
    this.#options.onInserted?.({ topic, rows: count, ms: performance.now() - began });
  }

  #isIn({ range, changes }: Batch): void {
    this.#position = range.to;
    this.#unsaved = new Map([...this.#unsaved, ...changes]);
    this.#noted = false;
  }

  /** Notes that everything below the position is in, and that what is up to `to` is about to be. */
  async #save(to: number): Promise<void> {
    const changes = this.#unsaved;
    const progress = { generation: this.#generation, from: this.#position, to };
    this.#kept.committed = await saveProgress(this.#assignment, progress, changes, this.#kept.committed);
    this.#unsaved = new Map();
    this.#noted = to === this.#position;
  }

  async #look(): Promise<void> {
    const now = await this.#options.generation().catch(() => this.#generation);
    if (now !== this.#generation)
      this.#left.abort(
        new Fault('retryable', 'analytics_remade', 'the tables were made anew; the history is brought again from the first record'),
      );
  }
}

/** Parts of at most MAX_BYTES, or one record. */
function* inBytes(records: readonly Recorded[]): Generator<readonly Recorded[]> {
  let begin = 0;
  let bytes = 0;
  for (let i = 0; i < records.length; i++) {
    const size = records[i]!.value.length;
    if (i > begin && bytes + size > MAX_BYTES) {
      yield records.slice(begin, i);
      begin = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (begin < records.length) yield records.slice(begin);
}
