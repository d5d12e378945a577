// Processes by their identity: a pid alone says nothing, the number may belong to another program by now.
//
// K1. An identity is boot, pid and start time. Two processes never share one.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const read = (file) => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
};

/** Changes with every boot of the machine; empty where the system does not say. */
export const bootId = () => read('/proc/sys/kernel/random/boot_id') ?? '';

/** A zombie is over, unless it is the first thread of a process whose other threads still hold its files and ports. */
const isOver = (pid, state) => {
  if (state === 'X') return true;
  if (state !== 'Z') return false;
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
};

/** Start time in ticks since boot on Linux, a date elsewhere; undefined for a process that is over. */
const startOf = (pid) => {
  const stat = read(`/proc/${pid}/stat`);
  if (stat !== undefined) {
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return isOver(pid, fields[0]) ? undefined : fields[19];
  }
  if (process.platform === 'linux') return undefined;
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
};

/** `{ pid, start, boot }` of a living process, or undefined. */
export const identityOf = (pid) => {
  const start = startOf(pid);
  return start === undefined ? undefined : { pid, start, boot: bootId() };
};

/** Whether exactly this process lives, and not another one with its number. */
export const lives = (identity) => {
  const now = identityOf(identity.pid);
  return now !== undefined && now.start === identity.start && now.boot === identity.boot;
};

/**
 * The user's processes whose environment began with this line (`NAME=value`): children have it from their parents. Elsewhere than on Linux none is found.
 * @returns {{ pid: number, start: string, boot: string }[]}
 */
export const markedWith = (line) => {
  if (process.platform !== 'linux') return [];
  const has = (pid) => `\0${read(`/proc/${pid}/environ`) ?? ''}\0`.includes(`\0${line}\0`);
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && has(name));
  return pids.map((pid) => identityOf(Number(pid))).filter((one) => one !== undefined);
};
