// How this machine's graphics processors were a moment ago, for what decides by it: asking costs nothing, and reads anew in the background.
//
// W1. While nobody asks nothing is read, and no timer runs. W2. Once in FRESH_MS at most; what is older than STALE_MS is not known any more.
import { type Gpu, type Gpus, openGpus } from './gpus.js';

/** A reading is used for so long without a new one, milliseconds; */
export const FRESH_MS = 3_000;
/** and believed for so long when no new one comes. */
export const STALE_MS = 15_000;

export interface GpuWatch {
  /** The processor with this number as it was last; undefined where that is not known, or not yet. */
  of(index: number): Gpu | undefined;
  /** Ends a reading that is under way. */
  close(): void;
}

export interface GpuWatchDeps {
  readonly gpus?: Gpus;
  /** Milliseconds; never falls. */
  readonly now?: () => number;
}

export const watchGpus = ({ gpus = openGpus(), now = () => performance.now() }: GpuWatchDeps = {}): GpuWatch => {
  let found: ReadonlyMap<number, Gpu> = new Map();
  let foundAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let reading = false;
  let closed = false;

  const read = async (): Promise<void> => {
    reading = true;
    askedAt = now();
    const all = await gpus.read().finally(() => {
      reading = false;
    });
    // Who did not answer has none for now; what was known stays until it is stale.
    if (all.length === 0) return;
    found = new Map(all.map((gpu) => [gpu.index, gpu]));
    foundAt = now();
  };
  return {
    of: (index) => {
      const at = now();
      if (!reading && !closed && at - askedAt >= FRESH_MS) void read();
      return at - foundAt <= STALE_MS ? found.get(index) : undefined;
    },
    close: () => {
      closed = true;
      gpus.close();
    },
  };
};
