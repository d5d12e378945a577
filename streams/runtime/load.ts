// How busy this process is with what people wait for: what is done beside it, and can wait (history, checkpoints, sending to the core), gives way.
import { performance } from 'node:perf_hooks';
import { pause } from '../pause.js';

export interface Load {
  /** Milliseconds that something of what can wait took just now. */
  ours(ms: number): void;
  /** Share of the time, in [0, 1], that this process was at work on something else, of the last WINDOW_MS or so. */
  others(): number;
}

/** Between two looks. */
export const WINDOW_MS = 250;
/** Above this share of other work, who can wait does so between two batches, for so long at the most, in milliseconds. */
const BUSY_SHARE = 0.6;
export const GIVE_WAY_MS = 5_000;

export const isBusy = (load: Load | undefined): boolean => load !== undefined && load.others() > BUSY_SHARE;

/**
 * Resolves when this process is less busy, after GIVE_WAY_MS at the latest: it looks again and again, because what it took for the work of others may have been that of who gives
 * way. For what is done in a moment; what has much to do (history) waits for all of GIVE_WAY_MS, or those who come meanwhile meet it.
 */
export const giveWay = async (load: Load | undefined, signal: AbortSignal): Promise<void> => {
  for (let left = GIVE_WAY_MS; left > 0 && !signal.aborted && isBusy(load); left -= WINDOW_MS) await pause(WINDOW_MS, signal);
};

export interface LoadDeps {
  /** Milliseconds. */
  readonly now: () => number;
  /** Milliseconds that the event loop was at work since the process began. */
  readonly active: () => number;
}

const PROCESS: LoadDeps = { now: () => performance.now(), active: () => performance.eventLoopUtilization().active };

/** One a process. */
export const openLoad = ({ now, active }: LoadDeps = PROCESS): Load => {
  let at = now();
  let activeThen = active();
  let own = 0;
  let share = 0;
  return {
    ours: (ms) => {
      own += ms;
    },
    others: () => {
      const elapsed = now() - at;
      if (elapsed < WINDOW_MS) return share;
      share = Math.max(0, (active() - activeThen - own) / elapsed);
      at = now();
      activeThen = active();
      own = 0;
      return share;
    },
  };
};
