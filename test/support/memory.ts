// How much memory processes take while they live: the kernel's own high-water mark, so that nothing between two looks is missed.
import { readFileSync } from 'node:fs';

/** No process of an installation may take more, in bytes. */
export const MEMORY_LIMIT_BYTES = 500 * 1024 * 1024;
/** Between two looks, in milliseconds: what a process grows by after the last look before its death is not seen. */
const LOOK_MS = 250;
const KIB = 1024;

export interface MemoryWatch {
  /** The largest resident set so far, in bytes; undefined where there is no /proc. */
  largest(): number | undefined;
  stop(): void;
}

/** VmHWM of a process, in bytes; undefined when it is gone, or where there is no /proc. */
const peakOf = (pid: number): number | undefined => {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found ? Number(found[1]) * KIB : undefined;
  } catch {
    return undefined;
  }
};

/** @param pids who lives now. */
export const watchMemory = (pids: () => readonly number[]): MemoryWatch => {
  let largest: number | undefined;
  const look = (): void => {
    for (const pid of pids()) {
      const peak = peakOf(pid);
      if (peak !== undefined) largest = Math.max(largest ?? 0, peak);
    }
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  return {
    largest: () => {
      look();
      return largest;
    },
    stop: () => clearInterval(timer),
  };
};
