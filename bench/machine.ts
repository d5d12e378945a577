// The machine that the figures are of: without it a figure says nothing.
import { closeSync, fdatasyncSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { freshDir, isInMemory, removeDir } from './places.js';
import { median, percentile } from './statistics.js';

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

/** Cache flushes that reached the machine's disks so far: whoever else syncs counts as well. */
export const diskFlushes = (): number => {
  let flushes = 0;
  for (const line of readFileSync('/proc/diskstats', 'latin1').split('\n')) {
    const fields = line.trim().split(/\s+/);
    const name = fields[2] ?? '';
    if (/^(vd|sd|xvd)[a-z]+$|^nvme\d+n\d+$/.test(name)) flushes += Number(fields[18] ?? 0);
  }
  return flushes;
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
      `${sync} in ${dir.slice(0, dir.lastIndexOf('/'))} | load average ${loadavg()[0]!.toFixed(1)} | ${new Date().toISOString().slice(0, 16)}Z${warning}`
    );
  } finally {
    await removeDir(dir);
  }
};
