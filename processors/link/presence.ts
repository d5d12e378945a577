// What the view store has of who is there: the last beat of each node, and whether it is lost.
import type { NodeBeat } from '../../schemas/index.js';

/** Collection of the view store: the last beat of each node, by its id. Not history: how a node is now. */
export const BEATS = 'node-beat';

export interface StoredBeat extends NodeBeat {
  /** Milliseconds since the epoch, by the clock of who took it. */
  readonly at: number;
  /** Rises with every beat, also where that clock was set back. */
  readonly version: number;
}

/** Collection of the view store, by node. */
export const PRESENCE = 'presence';

export interface PresenceView {
  readonly node_id: string;
  /** So many beats of it were missed that it was said. */
  readonly lost: boolean;
}
