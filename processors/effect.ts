// The shape of an effect: the only place that does something (a model call, a sandboxed run). At least once; its outcome is recorded once.
//
// X1. An effect reads what it needs from the log, through the offsets in its work item, never from a view. X2. The outcome's id is derived from task, attempt and kind.
// X3. When `signal` aborts (cancel, timeout, shutdown) it stops what it does and throws the signal's reason. X4. A business failure is an outcome (a draft),
// an infrastructure failure is a Fault.

import type { ModelGateway } from '../models/index.js';
import type { DatsEvent, EventOf, Fault, Work } from '../schemas/index.js';
import type { ArtifactStore } from './artifact-store.js';
import type { Draft } from './draft.js';
import type { PromptSource } from './prompt-versions.js';
import type { CheckPorts } from './qa/check.js';
import type { Spending } from './quota/index.js';

export interface EffectPorts {
  readonly models: ModelGateway;
  readonly artifacts: ArtifactStore;
  readonly checks: CheckPorts;
  /** System messages that were changed; absent: none was. */
  readonly prompts?: PromptSource;
  /** Budgets of what asks a model outside the attempts of a task; absent: nobody has one. */
  readonly spending?: Spending;
}

/** How many pieces of text one run of an effect may say: a run's first number is a multiple of it, so that a reader knows where a text begins. */
export const SEQS_PER_RUN = 2 ** 20;

/** What is said about a task in one run of an effect, for live watchers. None of it may throw or wait. */
export interface Speech {
  say(text: string): void;
  /** What was said so far is void; what comes begins anew. */
  restart(): void;
  /** Nothing more comes, whatever became of the run. */
  end(): void;
}

/**
 * Begins the speech of a run. `attempt` is the task's, from 1. `firstSeq` is a multiple of SEQS_PER_RUN, and higher than that of every earlier run of the
 * same attempt, in whatever process that was.
 */
export type Speak = (taskId: string, attempt: number, firstSeq: number) => Speech;

export interface EffectContext {
  readonly signal: AbortSignal;
  /** The lifecycle event at an offset of the task's project partition. @throws Fault terminal `event_missing`. */
  eventAt(offset: number): Promise<DatsEvent>;
  /** Records drafts now, durable when it resolves, before the outcome (such as `dats.task.started`). */
  emit(drafts: readonly Draft[]): Promise<void>;
  /** Text of the model as it comes, for live watchers; not on the log. Goes on only for work of kind `generate`: other text is no task's output. */
  onText(text: string): void;
  /** What `onText` was given so far is void: a model begins anew. */
  onRestart(): void;
  readonly node: string;
  readonly worker: string;
  /** Fencing token: `<partition epoch>-<attempt of the runtime>`. */
  readonly fence: string;
}

export interface Effect {
  readonly name: string;
  readonly kinds: readonly Work['kind'][];
  /** @returns the outcome: drafts for the lifecycle topic. @throws Fault for infrastructure (retried, then dead letter); `signal.reason` when aborted. */
  run(work: EventOf<'dats.work.requested'>, ports: EffectPorts, context: EffectContext): Promise<readonly Draft[]>;
  /** Whose end makes the work unwanted, where that is not its task's: the id of a cascade. */
  readonly concerns?: (work: EventOf<'dats.work.requested'>) => string;
  /** What it means that the work failed for good; default: `dats.task.attempt.failed`. */
  readonly givenUp?: (work: EventOf<'dats.work.requested'>, fault: Fault) => readonly Draft[];
}
