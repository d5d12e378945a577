// The one error class of the house. A business failure (a rejected answer, a failed task) is an event, never a Fault.
//
// F1. `retryable`: try again with backoff and a limit, then dead letter. F2. `terminal`: no retry helps; dead letter at once.
// F3. `fenced`: somebody else owns this work now; drop it silently. F4. `fatal`: the process cannot go on; stop, let the supervisor restart.
// Adapters translate foreign errors into Faults by their code, never by their message.

export type FaultKind = 'retryable' | 'terminal' | 'fenced' | 'fatal';

export interface FaultOptions {
  readonly cause?: unknown;
  /** How long the other side asked us to wait (`Retry-After`), in milliseconds. */
  readonly retryAfterMs?: number;
}

export class Fault extends Error {
  readonly kind: FaultKind;
  /** Stable, snake_case, part of the contract: `model_timeout`, `disk_full`. */
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(kind: FaultKind, code: string, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.kind = kind;
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export const isFault = (error: unknown, kind?: FaultKind): error is Fault =>
  error instanceof Fault && (kind === undefined || error.kind === kind);

/** Any thrown thing as a Fault; what nobody classified is retryable, so that a bug cannot lose work. */
export const toFault = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('retryable', 'unexpected', error instanceof Error ? error.message : String(error), { cause: error });
