// What the fold keeps of a task until its end: small, and JSON as it stands, because it lies in the log's keyed state.
import type { SpanEvent } from './span.js';

/** Something that is under way. */
export interface Begun {
  /** Milliseconds since the epoch. */
  from: number;
  /** Offset of the record it began with. */
  at: number;
}

export interface OpenAttempt extends Begun {
  readonly n: number;
  readonly tier: string;
  /** The model that the task asked for. */
  readonly model?: string;
  generate?: Begun & { starts: number; worker: string; node: string };
  /** The generation has ended: its span is made. */
  generated?: true;
  check?: Begun;
}

export interface OpenTask extends Begun {
  readonly id: string;
  readonly project: string;
  readonly correlation: string;
  readonly trace: string;
  /** Id of the span that the task's span is a child of. */
  readonly parent?: string;
  readonly parentTask?: string;
  readonly wantsPlan: boolean;
  tier?: string;
  domain?: string;
  attempts: number;
  subtasks?: number;
  analyse?: Begun & { error?: string };
  decompose?: Begun & { error?: string };
  attempt?: OpenAttempt;
  events: SpanEvent[];
}
