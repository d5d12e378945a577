// A project that comes from another node, as the host takes it in. How its history is put together: processors/link/arrival.ts.
import type { DatsEvent } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';

/** An event, and where it stands in the partition. */
export type Placed = readonly [event: DatsEvent, offset: number];

export interface Arrival {
  /** What was decided on elsewhere, and what that was decided on, in the order in which it was folded there. */
  readonly history: readonly Placed[];
  /** What was asked there that nobody decided on, in the order in which it is to be decided here. */
  readonly undecided: readonly Placed[];
  /** The last word of the home before. */
  readonly moved: Placed;
}

export interface Arrivals {
  /** The history behind a record, where that is the last word which brings a project here; undefined for every other. */
  of(record: Recorded, signal: AbortSignal): Promise<Arrival | undefined>;
}

export const noArrivals: Arrivals = { of: async () => undefined };
