// One record on its way through the runtime, and the context that its `run` is given. One object per record, so that instant work stays cheap.
import { Fault } from '../../schemas/index.js';
import type { Outgoing, Recorded } from '../log.js';
import type { WorkContext } from './work.js';

/** What a run needs of its consumer. */
export interface RunHost {
  readonly epoch: number;
  emit(run: Run, outputs: readonly Outgoing[]): Promise<void>;
}

export class Run implements WorkContext {
  readonly record: Recorded;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** Runs begun so far. */
  attempt = 0;
  firstFailedAt: number | undefined;
  readonly #host: RunHost;
  #abort: AbortController | undefined;
  #aborted = false;

  constructor(record: Recorded, receivedAt: number, host: RunHost) {
    this.record = record;
    this.receivedAt = receivedAt;
    this.#host = host;
  }

  get key(): string {
    return this.record.key;
  }

  get offset(): number {
    return this.record.offset;
  }

  get epoch(): number {
    return this.#host.epoch;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted) this.#abort.abort(givenUp());
    }
    return this.#abort.signal;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  emit(outputs: readonly Outgoing[]): Promise<void> {
    return this.#host.emit(this, outputs);
  }

  cancel(reason: Error): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }

  /** The partition is given up. */
  abort(): void {
    this.#aborted = true;
    this.#abort?.abort(givenUp());
  }
}

/** Why a run was aborted, and what its late emissions get. */
export const givenUp = (): Fault =>
  new Fault('fenced', 'partition_given_up', 'the partition was given up; its next owner runs the record again');
