// Is the process behind a group member still there? On Linux the kernel knows at once; elsewhere, or across containers, a heartbeat tells.
import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot: a reused pid has another. Empty where there is no /proc. */
  readonly started: string;
  /** Boot of the machine and pid namespace: pids mean something only where both are the same. */
  readonly boot: string;
  readonly namespace: string;
}

export type Life = 'alive' | 'dead' | 'unknown';

const read = <T>(action: () => T): T | undefined => {
  try {
    return action();
  } catch {
    return undefined;
  }
};

/** Field 22 of /proc/<pid>/stat; the command name before it may hold blanks and parentheses. */
const startedAt = (pid: number): string | undefined =>
  read(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : rest[18];
  });

export const thisProcess = (): ProcessIdentity => ({
  pid: process.pid,
  started: startedAt(process.pid) ?? '',
  boot: read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? '',
  namespace: read(() => readlinkSync('/proc/self/ns/pid')) ?? '',
});

export const lifeOf = (other: ProcessIdentity, self: ProcessIdentity): Life => {
  if (self.started === '' || other.started === '') return 'unknown';
  if (other.boot !== self.boot) return 'dead';
  if (other.namespace !== self.namespace) return 'unknown';
  return startedAt(other.pid) === other.started ? 'alive' : 'dead';
};
