// Words between instances in one process, each of which stands for a process.
import type { Broadcast } from '../broadcast.js';
import { Listeners } from '../listeners.js';

/** What joins instances. */
export interface BroadcastHub {
  readonly present: Set<Listeners>;
}

export const createBroadcastHub = (): BroadcastHub => ({ present: new Set() });

/** @param hub joins it to the others there; without one it is alone */
export const openMemoryBroadcast = (hub: BroadcastHub = createBroadcastHub()): Broadcast => {
  const own = new Listeners();
  let closed = false;
  hub.present.add(own);
  return {
    publish: async (channel, message) => {
      if (closed) return;
      const others = [...hub.present].filter((one) => one !== own);
      // In order, and never inside the call: so it is between real processes.
      setImmediate(() => {
        for (const other of others) other.tell(channel, message);
      });
    },
    subscribe: (channel, heard) => (closed ? () => {} : own.add(channel, heard)),
    close: async () => {
      closed = true;
      hub.present.delete(own);
      own.clear();
    },
  };
};
