// What the processes of one sandbox use, read from /proc on the host: the children of the launcher, theirs, and so on. A process namespace cannot be
// left and orphans fall to its first process, so the tree holds everything that runs in there.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

export interface Usage {
  /** Host ids of all processes below the launcher, parents first. */
  readonly pids: readonly number[];
  /** Threads count: the kernel's process limit counts them too. */
  readonly tasks: number;
  /** Private and shared memory that is resident; what is shared between processes counts for each. */
  readonly memory_bytes: number;
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Gone between listing and reading.
    return '';
  }
};

const list = (path: string): readonly string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};

const kilobytes = (status: string, name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);

/** Files that live only in memory and that no mapping shows. */
function memoryFiles(pid: number): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const fd of list(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${fd}`;
    try {
      if (!readlinkSync(path).startsWith('/memfd:')) continue;
      const stat = statSync(path);
      found.set(stat.ino, stat.blocks * 512);
    } catch {
      // Closed meanwhile.
    }
  }
  return found;
}

/** @param deep also counts anonymous memory files, which costs a look at every descriptor. */
export function usageBelow(launcher: number, deep: boolean): Usage {
  const pids: number[] = [];
  const files = new Map<number, number>();
  let tasks = 0;
  let memory = 0;
  const queue = [launcher];
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    const threads = list(`/proc/${pid}/task`);
    for (const thread of threads) queue.push(...read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
    if (pid === launcher) continue;
    pids.push(pid);
    tasks += threads.length;
    const status = read(`/proc/${pid}/status`);
    memory += (kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem')) * 1024;
    if (deep) for (const [inode, bytes] of memoryFiles(pid)) files.set(inode, bytes);
  }
  for (const bytes of files.values()) memory += bytes;
  return { pids, tasks, memory_bytes: memory };
}
