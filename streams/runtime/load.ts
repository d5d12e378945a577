// How busy this process is with what people wait for: what is done beside it, and can wait (history, checkpoints, sending to the core), gives way.
import { performance } from 'node:perf_hooks';

export interface Load {
  /** Milliseconds that something of what can wait took just now. */
  ours(ms: number): void;
  /** Share of the time, in [0, 1], that this process was at work on something else, of the last WINDOW_MS or so. */
  others(): number;
}

/** Above this share of other work, who can wait does so between two batches, in milliseconds. */
const BUSY_SHARE = 0.6;
export const GIVE_WAY_MS = 5_000;

export const isBusy = (load: Load | undefined): boolean => load !== undefined && load.others() > BUSY_SHARE;

export interface LoadDeps {
  /** Milliseconds. */
  readonly now: () => number;
  /** Milliseconds that the event loop was at work since the process began. */
  readonly active: () => number;
}

export const WINDOW_MS = 250;
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
