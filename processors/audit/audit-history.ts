// The auditor: folds every record of a partition into its project's tree, and says a signed checkpoint now and then.
//
// A1. Trees, uncovered leaves, checkpoints and the offset are committed together: whatever dies when, every record is one leaf, and every checkpoint is said once.
// A2. Without a checkpoint to say it commits seldom: what a crash takes is read again from the committed offset. A3. It is cheap, and where this process has
// much else to do it gives way, for GIVE_WAY_MS a batch: checkpoints come later then. A4. A record that is no event, or of a type that nobody knows, is a leaf
// like any other.
import { setImmediate as breath } from 'node:timers/promises';
import { Fault, isFault, timeoutSignal } from '../../schemas/index.js';
import type { Assignment, Log, Outgoing, Recorded } from '../../streams/index.js';
import { backoffMs, GIVE_WAY_MS, isBusy, type Load, systemTimers, type Timers } from '../../streams/runtime/index.js';
import { type Books, openBooks } from './books.js';
import { checkpointRecord } from './checkpoint-event.js';
import { leafOfRecord, openProjectOf } from './leaf.js';
import type { SigningKey } from './note.js';

export interface AuditOptions {
  /** Where a partition that is given up is read to its end; none: what is not read or not covered then waits for the next owner. */
  readonly log?: Pick<Log, 'range' | 'read'>;
  readonly key: SigningKey;
  /** Of the lifecycle topic: what tells where a project lives. */
  readonly partitions: number;
  readonly configVersion: () => string;
  /** A checkpoint of a project after so many events, */
  readonly everyEvents: number;
  /** and so long after the first event that none covers, in milliseconds. */
  readonly everyMs: number;
  /** A3: between two batches, in milliseconds, unless it is behind; default 0. Records that come together cost less than one by one. */
  readonly pauseMs?: number;
  /** A3; none: it never gives way. */
  readonly load?: Load;
  /** Default: the system's. */
  readonly timers?: Timers;
  /** Told of commits that are tried again. */
  readonly onProblem?: (fault: Fault) => void;
  /** Told of every checkpoint, once it is committed. Must not throw. */
  readonly onCheckpoint?: (checkpoint: { readonly project: string; readonly size: number; readonly leaves: number }) => void;
}

/** A2: records and milliseconds between two commits without a checkpoint. */
export const LAZY_RECORDS = 5_000;
export const LAZY_MS = 5_000;
/** Records that are read at a time. */
const MAX_BATCH = 4_096;
/** Records between two breaths, a few milliseconds: the process has other things to do. */
const BREATH_RECORDS = 128;
/** Checkpoints that one commit takes. */
const MAX_CHECKPOINTS = 32;
/** A partition that is given up is read on for so long at most, in milliseconds. */
const FINISH_MS = 1_000;
const COMMIT_RETRY = { baseMs: 100, maxMs: 2_000 };

/** Until the partition is revoked. @throws Fault fatal when the store cannot go on. */
export const auditHistory = async (assignment: Assignment, options: AuditOptions): Promise<void> => {
  const { revoked } = assignment;
  try {
    const auditor = new Auditor(assignment, options, await load(assignment, options));
    await auditor.run();
  } catch (error) {
    if (isFault(error, 'fenced') || (revoked.aborted && !isFault(error, 'fatal'))) return;
    throw error;
  }
};

const load = async (assignment: Assignment, options: AuditOptions): Promise<Books> => {
  const saved: [string, string][] = [];
  for await (const [key, bytes] of assignment.states()) saved.push([key, Buffer.from(bytes).toString('utf8')]);
  return openBooks(saved, options);
};

class Auditor {
  readonly #assignment: Assignment;
  readonly #options: AuditOptions;
  readonly #timers: Timers;
  readonly #books: Books;
  readonly #projectOf: ReturnType<typeof openProjectOf>;
  /** Behind the last record that was taken, and the committed offset. */
  #next: number;
  #saved: number;
  /** When the first record that is not committed was taken. */
  #unsavedSince = 0;
  #checkpoints: Outgoing[] = [];
  /** What to tell of them. */
  #said: { readonly project: string; readonly size: number; readonly leaves: number }[] = [];

  constructor(assignment: Assignment, options: AuditOptions, books: Books) {
    this.#assignment = assignment;
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#books = books;
    this.#projectOf = openProjectOf(assignment.partition, options.partitions);
    this.#next = this.#saved = assignment.committed;
  }

  async run(): Promise<void> {
    const over = new AbortController();
    const batches = this.#assignment.records({ maxBatch: MAX_BATCH, signal: over.signal })[Symbol.asyncIterator]();
    let reading: Promise<IteratorResult<readonly Recorded[]>> | undefined;
    try {
      for (;;) {
        await this.#commitDue();
        if (reading === undefined) {
          reading = batches.next();
          // A commit may fail while nobody waits for it.
          reading.catch(() => undefined);
        }
        const step = await this.#orDue(reading);
        if (step === undefined) continue;
        reading = undefined;
        if (step.done) break;
        await this.#take(step.value);
        await this.#giveWay();
        if (step.value.length < MAX_BATCH) await this.#pause();
      }
      await this.#finish();
    } finally {
      // A read that waits for a record would hold up the return.
      over.abort();
      await batches.return?.();
    }
  }

  /** What `reading` gives, or undefined when something is due before. */
  async #orDue<T>(reading: Promise<T>): Promise<T | undefined> {
    const due = Math.min(this.#books.nextDue() ?? Infinity, this.#next > this.#saved ? this.#unsavedSince + LAZY_MS : Infinity);
    if (due === Infinity) return reading;
    const done = new AbortController();
    const wait = this.#timers.delay(Math.max(0, due - this.#timers.now()), done.signal);
    try {
      return await Promise.race([reading, wait.then(() => undefined)]);
    } finally {
      done.abort();
    }
  }

  async #take(records: readonly Recorded[]): Promise<void> {
    const { load: busy } = this.#options;
    let began = performance.now();
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      const project = this.#projectOf(record);
      if (this.#next === this.#saved) this.#unsavedSince = this.#timers.now();
      this.#next = record.offset + 1;
      if (project !== undefined && this.#books.take(project, record.offset, leafOfRecord(record), this.#timers.now())) this.#cut(project);
      if (this.#checkpoints.length >= MAX_CHECKPOINTS) await this.#commit();
      if ((i + 1) % BREATH_RECORDS > 0) continue;
      busy?.ours(performance.now() - began);
      await breath();
      began = performance.now();
    }
    busy?.ours(performance.now() - began);
  }

  #cut(project: string): void {
    const { key } = this.#options;
    const configVersion = this.#options.configVersion();
    const cut = this.#books.cut(project);
    this.#checkpoints.push(checkpointRecord(cut, { key, configVersion, partition: this.#assignment.partition }, this.#timers.now()));
    this.#said.push({ project, size: cut.tree.size, leaves: cut.leaves.length });
  }

  /** All checkpoints that are due, and, where it is time, the offset. */
  async #commitDue(): Promise<void> {
    const now = this.#timers.now();
    for (let due = this.#books.due(now); due !== undefined; due = this.#books.due(now)) {
      this.#cut(due);
      if (this.#checkpoints.length >= MAX_CHECKPOINTS) await this.#commit();
    }
    const unsaved = this.#next - this.#saved;
    if (this.#checkpoints.length > 0 || unsaved >= LAZY_RECORDS || (unsaved > 0 && now - this.#unsavedSince >= LAZY_MS))
      await this.#commit();
  }

  /** A1. Tried again until it succeeds or the partition is revoked; nothing more is read meanwhile. @throws Fault */
  async #commit(): Promise<void> {
    const commit = { next: this.#next, outputs: this.#checkpoints, states: this.#books.changes() };
    for (let failures = 1; ; failures++) {
      try {
        await this.#assignment.commit(commit);
        break;
      } catch (error) {
        if (isFault(error, 'terminal')) throw new Fault('fatal', error.code, error.message, { cause: error });
        if (!isFault(error, 'retryable') || this.#assignment.revoked.aborted) throw error;
        this.#options.onProblem?.(error);
        await this.#timers.delay(backoffMs(failures, COMMIT_RETRY, Math.random, error.retryAfterMs), this.#assignment.revoked);
      }
    }
    this.#saved = this.#next;
    const said = this.#said;
    this.#checkpoints = [];
    this.#said = [];
    for (const one of said) this.#options.onCheckpoint?.(one);
  }

  /** Who gives the partition up in order leaves nothing uncovered, unless there is too much of it: it may be a while until somebody goes on. */
  async #finish(): Promise<void> {
    const { topic, partition } = this.#assignment;
    const { log } = this.#options;
    if (log !== undefined) {
      const { end } = await log.range(topic, partition);
      const reading = { until: end, maxBatch: 512 };
      const late = timeoutSignal(FINISH_MS);
      if (this.#next < end)
        for await (const records of log.read({ topic, partition, offset: this.#next }, late, reading)) await this.#take(records);
      for (let project = this.#books.due(Infinity); project !== undefined && !late.aborted; project = this.#books.due(Infinity)) {
        this.#cut(project);
        if (this.#checkpoints.length >= MAX_CHECKPOINTS) await this.#commit();
      }
    }
    if (this.#next > this.#saved || this.#checkpoints.length > 0) await this.#commit();
  }

  async #pause(): Promise<void> {
    const { pauseMs = 0 } = this.#options;
    if (pauseMs > 0) await this.#timers.delay(pauseMs, this.#assignment.revoked);
  }

  async #giveWay(): Promise<void> {
    if (!isBusy(this.#options.load)) return;
    await this.#commitDue();
    await this.#timers.delay(GIVE_WAY_MS, this.#assignment.revoked);
  }
}
