// A draft: what a decider or an effect wants to say. The host stamps it into an event (id, time, correlation, causation).
import { type DataOf, type EventType, LIFECYCLE, type Topic } from '../schemas/index.js';

export interface DraftOf<T extends EventType> {
  readonly type: T;
  /** The task or artifact it is about. */
  readonly subject: string;
  readonly data: DataOf<T>;
  readonly topic: Topic;
  /** Record key; default: the project id. Work items are keyed by task. */
  readonly key?: string;
  /** Set by effects, so that a repeated outcome has the same id; deciders leave it to the host. */
  readonly id?: string;
  /** Whose chain it continues, where that is not the cause's: a task that goes on because another one ended. */
  readonly chain?: Chain;
}

export interface Chain {
  readonly projectid: string;
  readonly correlationid: string;
  readonly traceparent?: string;
}
/** A draft of any type; narrow it by `type`. */
export type Draft = { [T in EventType]: DraftOf<T> }[EventType];

// The makers below write each literal out: drafts are made a dozen times a task, and a spread costs several times as much.

/** A draft for the lifecycle topic. */
export const say = <T extends EventType>(type: T, subject: string, data: DataOf<T>, id?: string): Draft =>
  (id === undefined ? { type, subject, data, topic: LIFECYCLE } : { type, subject, data, topic: LIFECYCLE, id }) as unknown as Draft;

/** A draft for another topic, under its own key. */
export const sayOn = <T extends EventType>(topic: Topic, key: string, type: T, subject: string, data: DataOf<T>, id?: string): Draft =>
  (id === undefined ? { type, subject, data, topic, key } : { type, subject, data, topic, key, id }) as unknown as Draft;

/** A decider's draft as part of another chain than its cause's. */
export const inChain = (chain: Chain, { type, subject, data, topic, key, id }: Draft): Draft => {
  const draft: Record<string, unknown> = { type, subject, data, topic, chain };
  if (key !== undefined) draft.key = key;
  if (id !== undefined) draft.id = id;
  return draft as unknown as Draft;
};
