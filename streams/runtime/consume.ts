// The consumer of work: runs the records of one assignment concurrently and commits them in any order, each exactly once in what it records.
// Not for deciders, which go through a partition one batch after another.
//
// W1. The committed offset never passes a record that is not done. W2. A record's outputs and its completion are one commit: after a crash a record
// whose outputs are there is not run again. W3. With ordering `key` a key's records run one at a time and in order, also through retries.
// W4. No record holds up another key: retries wait beside the queue, and what cannot be done becomes a dead letter with an alert.
// W5. At most `maxInFlight` records are held; no more are asked for while commits fail. W6. When revoked it returns within
// `drainMs` + 2 x ABORT_GRACE_MS (plus one turn of the reader); what has not ended by then is left to the next owner.
import { setMaxListeners } from 'node:events';
import { Fault, isFault, toFault } from '../../schemas/index.js';
import type { Assignment, Outgoing } from '../log.js';
import { Committer, DONE_STATE } from './committer.js';
import { decodeMap } from './completion-map.js';
import { deadLetter, deadLetterAlert, type Failure } from './dead-letter.js';
import { ABORT_GRACE_MS, drain, within } from './drain.js';
import { KeyedQueue } from './keyed-queue.js';
import { nextAttempt } from './retry.js';
import { givenUp, Run, type RunHost } from './run.js';
import { Slots } from './slots.js';
import { systemTimers, type Timers } from './timers.js';
import { Watermark } from './watermark.js';
import { DEFAULT_DRAIN_MS, DEFAULT_MAX_IN_FLIGHT, DEFAULT_RETRY, MAX_IN_FLIGHT_LIMIT, type WorkOptions, type WorkStats } from './work.js';

/** Records asked for at once; fewer where few may be held. */
const BATCH_LIMIT = 256;

/**
 * Works on the assignment until it is revoked (or fenced: then it drops everything and returns).
 * @throws Fault fatal: `bad_option`, `completion_map_unreadable`, whatever `run` or a commit raised as fatal; and whatever reading the log raised.
 */
export const consumeWork = async (assignment: Assignment, options: WorkOptions): Promise<void> => {
  const maxInFlight = options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT;
  if (!Number.isInteger(maxInFlight) || maxInFlight < 1 || maxInFlight > MAX_IN_FLIGHT_LIMIT)
    throw new Fault('fatal', 'bad_option', `maxInFlight must be a whole number from 1 to ${MAX_IN_FLIGHT_LIMIT}, not ${maxInFlight}`);
  const slots = typeof options.concurrency === 'number' ? new Slots(options.concurrency) : options.concurrency;
  const done = await assignment.state(DONE_STATE);
  const watermark = new Watermark(assignment.committed, done === undefined ? undefined : decodeMap(done));
  await new Consumer(assignment, options, watermark, slots, maxInFlight).work();
};

class Consumer implements RunHost {
  readonly epoch: number;
  readonly #assignment: Assignment;
  readonly #options: WorkOptions;
  readonly #timers: Timers;
  readonly #random: () => number;
  readonly #watermark: Watermark;
  readonly #slots: Slots;
  readonly #queue: KeyedQueue<Run>;
  readonly #committer: Committer<Run>;
  readonly #maxInFlight: number;
  readonly #batch: number;
  /** Every record held, by arrival: the first is the oldest. */
  readonly #held = new Set<Run>();
  readonly #running = new Set<Run>();
  /** Ends intake, waits for slots and waits for retries: the partition is to be given up, or lost. */
  readonly #stopping = new AbortController();
  /** Ends everything: lost, fatal, or over. */
  readonly #halt = new AbortController();
  #failure: Fault | undefined;
  #commitsFail = false;
  #awaitsSlot = false;
  #wake: (() => void) | undefined;
  #onIdle: (() => void) | undefined;
  #retries = 0;
  #deadLetters = 0;
  #mapBytes = 0;

  constructor(assignment: Assignment, options: WorkOptions, watermark: Watermark, slots: Slots, maxInFlight: number) {
    this.epoch = assignment.epoch;
    // As many listeners as records wait for a retry.
    setMaxListeners(0, this.#stopping.signal);
    this.#assignment = assignment;
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#random = options.random ?? Math.random;
    this.#watermark = watermark;
    this.#slots = slots;
    this.#maxInFlight = maxInFlight;
    this.#batch = Math.max(1, Math.min(BATCH_LIMIT, maxInFlight >> 2));
    this.#queue = new KeyedQueue(options.ordering ?? 'key', maxInFlight);
    this.#committer = new Committer<Run>({
      assignment,
      watermark,
      timers: this.#timers,
      random: this.#random,
      onCommitted: (finished, outputs, mapBytes) => this.#committed(finished, outputs, mapBytes),
      onRefused: (run, fault) => this.#letter(run, fault),
      onTrouble: (trouble) => {
        this.#commitsFail = trouble !== undefined;
        options.onEvent?.(trouble === undefined ? { type: 'commit_recovered' } : { type: 'commit_failed', ...trouble });
        this.#wakeIntake();
      },
      onStopped: (fault) => this.#fail(fault),
    });
  }

  async work(): Promise<void> {
    const { revoked } = this.#assignment;
    const stop = (): void => this.#stop();
    revoked.addEventListener('abort', stop, { once: true });
    if (revoked.aborted) stop();
    this.#options.onEvent?.({ type: 'started', stats: () => this.#stats() });
    try {
      await this.#intake().catch((error: unknown) => this.#fail(toFault(error)));
      this.#stop();
      if (this.#failure === undefined) await this.#drain();
    } finally {
      revoked.removeEventListener('abort', stop);
      this.#end();
    }
    if (this.#failure === undefined) this.#options.onEvent?.({ type: 'drained', left: this.#held.size });
    else if (isFault(this.#failure, 'fenced')) this.#options.onEvent?.({ type: 'fenced', fault: this.#failure });
    else throw this.#failure;
  }

  emit(run: Run, outputs: readonly Outgoing[]): Promise<void> {
    return this.#running.has(run) && !this.#halt.signal.aborted ? this.#committer.emit(outputs) : Promise.reject(givenUp());
  }

  async #intake(): Promise<void> {
    const { signal } = this.#stopping;
    for await (const batch of this.#assignment.records({ maxBatch: this.#batch, signal })) {
      if (signal.aborted) return;
      const now = this.#timers.now();
      let skipped = false;
      for (const record of batch) {
        if (!this.#watermark.receive(record.offset)) {
          skipped = true;
          continue;
        }
        const run = new Run(record, now, this);
        this.#held.add(run);
        this.#queue.push(run);
      }
      if (skipped) this.#committer.advance();
      this.#pump();
      while (!signal.aborted && this.#full()) await new Promise<void>((resolve) => (this.#wake = resolve));
      if (signal.aborted) return;
    }
  }

  // A batch is asked for only when all of it may be held.
  #full(): boolean {
    return this.#commitsFail || this.#held.size + this.#batch > this.#maxInFlight;
  }

  #wakeIntake(): void {
    if (this.#wake === undefined || (this.#full() && !this.#stopping.signal.aborted)) return;
    const wake = this.#wake;
    this.#wake = undefined;
    wake();
  }

  #pump(): void {
    while (this.#queue.runnable && !this.#stopping.signal.aborted) {
      if (!this.#slots.tryAcquire()) {
        if (!this.#awaitsSlot) void this.#awaitSlot();
        return;
      }
      this.#start();
    }
  }

  async #awaitSlot(): Promise<void> {
    this.#awaitsSlot = true;
    const granted = await this.#slots.acquire(this.#stopping.signal);
    this.#awaitsSlot = false;
    if (!granted) return;
    if (this.#queue.runnable && !this.#stopping.signal.aborted) this.#start();
    else this.#slots.release();
    this.#pump();
  }

  /** With a slot taken and an item in the queue. */
  #start(): void {
    const run = this.#queue.next();
    if (run === undefined) this.#slots.release();
    else void this.#run(run);
  }

  async #run(run: Run): Promise<void> {
    this.#running.add(run);
    run.attempt++;
    let outputs: readonly Outgoing[] = [];
    let fault: Fault | undefined;
    try {
      outputs = await this.#options.run(run.record, run);
    } catch (error) {
      fault = toFault(error);
    }
    this.#running.delete(run);
    this.#slots.release();
    if (this.#halt.signal.aborted) return;
    if (fault === undefined) this.#finish(run, outputs);
    else this.#failed(run, fault);
    if (this.#running.size === 0) this.#onIdle?.();
    this.#pump();
  }

  #finish(run: Run, outputs: readonly Outgoing[]): void {
    this.#queue.done(run);
    this.#committer.finish(run, outputs);
  }

  #failed(run: Run, fault: Fault): void {
    // It failed because it was told to stop: the next owner runs it.
    if (run.aborted) return;
    if (fault.kind === 'fatal') this.#fail(fault);
    else if (fault.kind === 'fenced') this.#finish(run, []);
    else this.#retryOrGiveUp(run, fault);
  }

  #retryOrGiveUp(run: Run, fault: Fault): void {
    run.firstFailedAt ??= this.#timers.now();
    const delayMs = nextAttempt(fault, run.attempt, this.#options.retry ?? DEFAULT_RETRY, this.#random);
    if (delayMs === undefined) {
      this.#finish(run, this.#letter(run, fault));
      return;
    }
    if (this.#stopping.signal.aborted) return;
    this.#retries++;
    this.#options.onEvent?.({ type: 'retry', record: run.record, fault, attempt: run.attempt, delayMs });
    void this.#again(run, delayMs);
  }

  async #again(run: Run, delayMs: number): Promise<void> {
    await this.#timers.delay(delayMs, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    this.#queue.again(run);
    this.#pump();
  }

  #letter(run: Run, fault: Fault): readonly Outgoing[] {
    const failedAt = this.#timers.now();
    const failure: Failure = {
      group: this.#options.group,
      fault,
      attempts: run.attempt,
      firstFailedAt: run.firstFailedAt ?? failedAt,
      failedAt,
    };
    this.#deadLetters++;
    this.#options.onEvent?.({ type: 'dead_letter', record: run.record, fault, attempts: run.attempt });
    return [deadLetter(run.record, failure), deadLetterAlert(run.record, failure)];
  }

  #committed(finished: readonly Run[], outputs: number, mapBytes: number): void {
    for (const run of finished) this.#held.delete(run);
    this.#mapBytes = mapBytes;
    this.#options.onEvent?.({ type: 'committed', records: finished.length, outputs });
    this.#wakeIntake();
  }

  async #drain(): Promise<void> {
    const timers = this.#timers;
    const { signal } = this.#halt;
    const drainMs = this.#options.drainMs ?? DEFAULT_DRAIN_MS;
    const end = timers.now() + drainMs + ABORT_GRACE_MS;
    await drain({
      idle: () => (this.#running.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => (this.#onIdle = resolve))),
      abort: () => this.#abortRuns(),
      drainMs,
      timers,
      signal,
    });
    this.#committer.advance();
    await within(this.#committer.flush(), Math.max(end - timers.now(), ABORT_GRACE_MS), timers, signal);
  }

  #stop(): void {
    this.#stopping.abort();
    this.#wakeIntake();
  }

  #fail(fault: Fault): void {
    this.#failure ??= fault;
    this.#end();
  }

  #end(): void {
    this.#halt.abort();
    this.#abortRuns();
    this.#committer.stop(this.#failure ?? givenUp());
    this.#stop();
  }

  #abortRuns(): void {
    for (const run of this.#running) run.abort();
  }

  #stats(): WorkStats {
    let oldest: Run | undefined;
    for (const run of this.#held) {
      oldest = run;
      break;
    }
    return {
      inFlight: this.#held.size,
      running: this.#running.size,
      incomplete: this.#watermark.incomplete,
      oldestIncompleteMs: oldest === undefined ? 0 : this.#timers.now() - oldest.receivedAt,
      paused: this.#full(),
      retries: this.#retries,
      deadLetters: this.#deadLetters,
      mapBytes: this.#mapBytes,
    };
  }
}
