// The shape of a decision: a pure, total, synchronous function over the fold of one partition of the lifecycle topic.
//
// D1. No clock, no randomness, no I/O: time comes in as the event's `time` or through `tick`. D2. The state of a partition belongs to its decider;
// `evolve` may change it in place and is the only thing that does. D3. Folding the same events in the same order gives the same bytes in `entries`.
// D4. An event that changes nothing (late, repeated, for a finished task) is answered with no drafts.
import type { DatsEvent, EventType } from '../schemas/index.js';
import type { Draft } from './draft.js';

/** JSON entries of a state, under keys of its own. */
export type StateEntries = ReadonlyMap<string, unknown>;

export interface Decider<State = unknown> {
  readonly name: string;
  /** Types that `evolve` and `decide` look at; others are skipped before they are parsed. */
  readonly consumes: readonly EventType[];
  initialState(): State;
  /** Takes `event` into the state. `offset`: where it stands in the partition; for the decider's own fresh outputs, that of what caused them. */
  evolve(state: State, event: DatsEvent, offset: number): void;
  /** Called after `evolve` took the event in. */
  decide(state: State, event: DatsEvent, offset: number): readonly Draft[];
  /** An event that nobody of the group is to take in: not what this node decides. */
  declines?(state: State, event: DatsEvent): boolean;
  /** When (milliseconds since the epoch) `tick` wants to be called next; undefined: never. */
  nextDue?(state: State): number | undefined;
  /** What is due at `now`. */
  tick?(state: State, now: number): readonly Draft[];
  /** Entries that changed since the last call (null: deleted), to be committed with the outputs. */
  changes(state: State): StateEntries;
  /** The state from all its entries. */
  restore(entries: Iterable<readonly [string, unknown]>): State;
}
