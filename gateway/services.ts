// What routes work with: the dependencies, and what the gateway itself keeps while it runs.
import type { LedgerReader } from '../processors/quota/index.js';
import type { Backlog } from './backlog.js';
import type { InTurn, Knowledge } from './cascade/index.js';
import type { DeadLetters } from './dead-letters.js';
import type { GatewayDeps } from './deps.js';
import type { OpenApi } from './openapi.js';
import type { RateGate } from './rate-limit.js';
import type { Sources } from './reads.js';
import type { StreamLimits } from './sse.js';
import type { Submissions } from './submissions.js';
import type { Tail } from './tail.js';

export interface Services {
  readonly deps: GatewayDeps & Sources;
  readonly tail: Tail;
  readonly backlog: Backlog;
  readonly rate: RateGate;
  readonly submissions: Submissions;
  readonly deadLetters: DeadLetters;
  readonly knowledge: Knowledge;
  /** How budgets stand. */
  readonly ledger: LedgerReader;
  /** Requests under the same Idempotency-Key, one after another. */
  readonly inTurn: InTurn;
  readonly streams: StreamLimits;
  /** How long a cancel request waits for the task to end, milliseconds. */
  readonly cancelWaitMs: number;
  /** From a request that is read to its answer, milliseconds. */
  readonly answerMs: number;
  /** The same for what asks history of the log, milliseconds. */
  readonly historyMs: number;
  /** How long the text of a task that is over may be silent before its stream ends, milliseconds. */
  readonly liveQuietMs: number;
  /** Aborts when the gateway closes: ends every stream. */
  readonly closing: AbortSignal;
  readonly openapi: () => OpenApi;
}
