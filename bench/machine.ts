// The machine that the figures are of: without it a figure says nothing.
import { closeSync, fdatasyncSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { freshDir, isInMemory, removeDir } from './places.js';
import { median, percentile } from './statistics.js';

/** Clock ticks a second in /proc, on every Linux there is. */
export const TICKS = 100;
const SYNCS = 200;
const BLOCK_BYTES = 4_096;

/** Milliseconds of writing 4 kB and syncing it, many times, on the measured disk. */
const syncTimes = (dir: string): readonly number[] => {
  const file = join(dir, 'sync');
  const fd = openSync(file, 'w');
  const block = Buffer.alloc(BLOCK_BYTES, 1);
  const times = Array.from({ length: SYNCS }, () => {
    const begin = performance.now();
    writeSync(fd, block);
    fdatasyncSync(fd);
    return performance.now() - begin;
  });
  closeSync(fd);
  unlinkSync(file);
  return times;
};

export interface DiskUse {
  /** Cache flushes that reached the machine's disks. */
  readonly flushes: number;
  readonly writtenKb: number;
}

const SECTOR_BYTES = 512;

/** Of all disks of the machine so far: whoever else writes counts as well. */
export const diskUse = (): DiskUse => {
  let flushes = 0;
  let sectors = 0;
  for (const line of readFileSync('/proc/diskstats', 'latin1').split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (!/^(vd|sd|xvd)[a-z]+$|^nvme\d+n\d+$/.test(fields[2] ?? '')) continue;
    flushes += Number(fields[18] ?? 0);
    sectors += Number(fields[9]);
  }
  return { flushes, writtenKb: (sectors * SECTOR_BYTES) / 1_024 };
};

/** CPU time that the whole machine has used, in milliseconds. */
const machineCpuMs = (): number => {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!;
  const [user, nice, system, , , irq, softirq, steal] = line.trim().split(/\s+/).slice(1).map(Number);
  return ((user! + nice! + system! + irq! + softirq! + steal!) * 1_000) / TICKS;
};

/** Tells, when called, how many cores others than this process used since; `measuredMs` is the CPU time of the measured processes meanwhile. */
export const watchOthers = (): ((measuredMs: number) => number) => {
  const [all, own, begin] = [machineCpuMs(), process.cpuUsage(), performance.now()];
  return (measuredMs) => {
    const { user, system } = process.cpuUsage(own);
    return Math.max(0, (machineCpuMs() - all - (user + system) / 1_000 - measuredMs) / (performance.now() - begin));
  };
};

/** The line that closes a run. */
export const machineLine = async (): Promise<string> => {
  const dir = await freshDir('sync');
  try {
    const times = syncTimes(dir);
    const sync = `fsync p50 ${median(times).toFixed(2)} ms p95 ${percentile(times, 0.95).toFixed(2)} ms`;
    const warning = (await isInMemory(dir)) ? ' | WARNING: this folder is in memory, durable figures mean nothing' : '';
    return (
      `machine | ${cpus().length} cores (${cpus()[0]!.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GB | node ${process.versions.node} | ` +
      `${sync} in the cache folder | load average ${loadavg()[0]!.toFixed(1)} | ${new Date().toISOString().slice(0, 16)}Z${warning}`
    );
  } finally {
    await removeDir(dir);
  }
};
