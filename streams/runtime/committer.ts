// Commits what has ended: outputs, mark and completion map together, one commit at a time.
//
// C1. Group commit: whatever ends while a commit is under way goes into the next one. C2. A record's outputs and its completion are in the same commit.
// C3. The order in which outputs were handed over is the order in which they are written. C4. After a failure nothing is lost: the same
// outputs are tried again with backoff, until they are in or the partition is gone. C5. A commit whose acknowledgement was lost is recognised
// by its stamp and not written twice. C6. A refused (terminal) commit is halved until the record at fault stands alone; that one is handed back.
import { Fault, isFault, toFault } from '../../schemas/index.js';
import type { Assignment, Outgoing } from '../log.js';
import { encodeMap } from './completion-map.js';
import { backoffMs } from './retry.js';
import type { Timers } from './timers.js';
import type { Watermark } from './watermark.js';

/** Under this key lies the completion map of the group and partition. */
export const DONE_STATE = 'done';

/** Waits between the tries of a failing commit, in milliseconds; it is tried until the partition is gone. */
const COMMIT_BACKOFF = { baseMs: 50, maxMs: 2_000 };

export interface Finished {
  readonly offset: number;
}

export interface CommitterDeps<F extends Finished> {
  readonly assignment: Assignment;
  readonly watermark: Watermark;
  readonly timers: Timers;
  readonly random: () => number;
  /** These are durable now, and done. */
  readonly onCommitted: (finished: readonly F[], outputs: number, mapBytes: number) => void;
  /** The log will never take these outputs (terminal): what to write instead. */
  readonly onRefused: (finished: F, fault: Fault) => readonly Outgoing[];
  /** A try failed and the next one comes after `delayMs`; undefined: it works again. */
  readonly onTrouble: (trouble: { readonly fault: Fault; readonly attempt: number; readonly delayMs: number } | undefined) => void;
  /** Nothing can be committed any more: fenced, or fatal. */
  readonly onStopped: (fault: Fault) => void;
}

interface Entry<F> {
  outputs: readonly Outgoing[];
  /** The record that ended with these outputs; absent on outputs emitted early. */
  readonly finished?: F;
  readonly resolve?: () => void;
  readonly reject?: (fault: Fault) => void;
  /** `onRefused` was asked once already. */
  refused?: boolean;
}

interface Attempt<F> {
  readonly entries: readonly Entry<F>[];
  readonly outputs: readonly Outgoing[];
  readonly next: number;
  readonly map: Uint8Array;
}

export class Committer<F extends Finished> {
  readonly #deps: CommitterDeps<F>;
  #pending: Entry<F>[] = [];
  /** How many entries a commit may take: everything, except while a refused one is looked for. */
  #limit = Number.POSITIVE_INFINITY;
  #serial = 0;
  #next: number;
  #scheduled = false;
  #idle: (() => void)[] = [];
  readonly #halt = new AbortController();
  #stopped: Fault | undefined;

  constructor(deps: CommitterDeps<F>) {
    this.#deps = deps;
    this.#next = deps.assignment.committed;
  }

  /** The record has ended with these outputs: it is done once they are durable. */
  finish(finished: F, outputs: readonly Outgoing[]): void {
    this.#add({ outputs, finished });
  }

  /**
   * Outputs of a record that goes on. Resolves when they are durable.
   * @throws Fault `fenced` when the partition is gone; terminal when the log refuses them. Then they were not written.
   */
  emit(outputs: readonly Outgoing[]): Promise<void> {
    const emission = new Promise<void>((resolve, reject) => this.#add({ outputs, resolve, reject }));
    // Whoever does not wait for it must not bring the process down with it.
    emission.catch(() => undefined);
    return emission;
  }

  /** Commits the mark if it has moved without any record ending here (a former owner's were skipped). */
  advance(): void {
    this.#schedule();
  }

  /** Resolves when nothing is left to commit, or nothing can be committed any more. Never rejects. */
  flush(): Promise<void> {
    if (!this.#scheduled || this.#stopped !== undefined) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends all tries; whoever waits for an emission gets `fault`. A commit under way may still come through. */
  stop(fault: Fault): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = fault;
    this.#halt.abort();
    for (const entry of this.#pending) entry.reject?.(fault);
    this.#pending = [];
    this.#settle();
  }

  #add(entry: Entry<F>): void {
    if (this.#stopped !== undefined) {
      entry.reject?.(this.#stopped);
      return;
    }
    this.#pending.push(entry);
    this.#schedule();
  }

  // The event loop's next turn: all that ends in this one shares a commit.
  #schedule(): void {
    if (this.#scheduled || this.#stopped !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => void this.#loop());
  }

  async #loop(): Promise<void> {
    let failures = 0;
    let doubtful: Attempt<F> | undefined;
    try {
      while (this.#stopped === undefined) {
        if (doubtful === undefined && !this.#due()) break;
        let attempt = doubtful;
        try {
          if (attempt === undefined || !(await this.#written(attempt))) {
            attempt = this.#attempt();
            await this.#deps.assignment.commit({
              next: attempt.next,
              outputs: attempt.outputs,
              states: new Map([[DONE_STATE, attempt.map]]),
            });
          }
          doubtful = undefined;
          if (failures > 0) this.#deps.onTrouble(undefined);
          failures = 0;
          this.#committed(attempt);
        } catch (error) {
          const fault = toFault(error);
          if (fault.kind === 'terminal' && attempt !== undefined && this.#refused(attempt, fault)) {
            doubtful = undefined;
            continue;
          }
          if (fault.kind !== 'retryable') return this.#end(fault);
          doubtful = attempt;
          await this.#wait(fault, ++failures);
        }
      }
    } catch (error) {
      this.#end(
        new Fault('fatal', 'committer_failed', `the committer of a partition failed: ${String(error)}; restart the process`, {
          cause: error,
        }),
      );
    } finally {
      this.#scheduled = false;
      this.#settle();
    }
  }

  #due(): boolean {
    return this.#pending.length > 0 || this.#deps.watermark.mark > this.#next;
  }

  #attempt(): Attempt<F> {
    const { watermark, assignment } = this.#deps;
    const entries = this.#pending.slice(0, this.#limit);
    const finishing = new Set<number>();
    const outputs: Outgoing[] = [];
    for (const entry of entries) {
      if (entry.finished !== undefined) finishing.add(entry.finished.offset);
      for (const output of entry.outputs) outputs.push(output);
    }
    const snapshot = watermark.snapshot(finishing);
    const map = encodeMap(snapshot, { epoch: assignment.epoch, serial: ++this.#serial });
    return { entries, outputs, next: snapshot.mark, map };
  }

  // The store may have written what it could not acknowledge.
  async #written(attempt: Attempt<F>): Promise<boolean> {
    const stored = await this.#deps.assignment.state(DONE_STATE).catch((error: unknown) => {
      const fault = toFault(error);
      // No record is to blame for an unreadable store.
      throw fault.kind === 'terminal' ? new Fault('fatal', fault.code, fault.message, { cause: fault }) : fault;
    });
    return stored !== undefined && Buffer.compare(stored, attempt.map) === 0;
  }

  #committed(attempt: Attempt<F>): void {
    this.#pending = this.#pending.slice(attempt.entries.length);
    this.#next = attempt.next;
    this.#limit *= 2;
    const finished: F[] = [];
    for (const entry of attempt.entries) {
      if (entry.finished !== undefined) {
        this.#deps.watermark.complete(entry.finished.offset);
        finished.push(entry.finished);
      }
      entry.resolve?.();
    }
    this.#deps.onCommitted(finished, attempt.outputs.length, attempt.map.length);
  }

  /** False when there is nobody to blame: the partition cannot go on. */
  #refused(attempt: Attempt<F>, fault: Fault): boolean {
    if (attempt.entries.length > 1) {
      this.#limit = Math.ceil(attempt.entries.length / 2);
      return true;
    }
    const [entry] = attempt.entries;
    if (entry === undefined || entry.refused) return false;
    if (entry.finished === undefined) {
      this.#pending.shift();
      entry.reject?.(fault);
      return true;
    }
    entry.refused = true;
    entry.outputs = this.#deps.onRefused(entry.finished, fault);
    return true;
  }

  async #wait(fault: Fault, attempt: number): Promise<void> {
    const { timers, random, onTrouble } = this.#deps;
    const delayMs = backoffMs(attempt, COMMIT_BACKOFF, random, fault.retryAfterMs);
    onTrouble({ fault, attempt, delayMs });
    await timers.delay(delayMs, this.#halt.signal);
  }

  #end(fault: Fault): void {
    if (this.#stopped !== undefined) return;
    const final = isFault(fault, 'terminal') ? new Fault('fatal', fault.code, fault.message, { cause: fault }) : fault;
    this.stop(final);
    this.#deps.onStopped(final);
  }

  #settle(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
