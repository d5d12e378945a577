import { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { manualClock } from '../models/testing/manual-clock.js';
import { gpusIn, LIMIT_MS, openGpus } from './gpus.js';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-gpus-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const MIB = 1024 * 1024;
/** A program that writes its number and its arguments down, then does as `then` says. */
const programOf = (then: string): string => {
  const path = join(dir, 'smi');
  writeFileSync(path, `#!/bin/sh\necho "$$ $*" >> '${dir}/asked'\n${then}\n`);
  chmodSync(path, 0o755);
  return path;
};
/** Whole lines: the file is there, empty, before the first. */
const asked = (): readonly string[] =>
  existsSync(join(dir, 'asked')) ? readFileSync(join(dir, 'asked'), 'utf8').split('\n').slice(0, -1) : [];
/** Looks again each turn of the event loop: for what other processes do. */
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('the answer of nvidia-smi', () => {
  it('is read a line each, in parts of one and in bytes', () => {
    expect(gpusIn('0, NVIDIA H100 80GB HBM3, 42, 1024, 81559, 41\n1, NVIDIA L4, 0, 0, 23034, 33\n')).toEqual([
      {
        index: 0,
        name: 'NVIDIA H100 80GB HBM3',
        utilisation_ratio: 0.42,
        memory_used_bytes: 1024 * MIB,
        memory_total_bytes: 81559 * MIB,
        temperature_c: 41,
      },
      { index: 1, name: 'NVIDIA L4', utilisation_ratio: 0, memory_used_bytes: 0, memory_total_bytes: 23034 * MIB, temperature_c: 33 },
    ]);
  });

  it('leaves out what a device does not tell, and lines that are no device', () => {
    expect(gpusIn('0, NVIDIA GB10, [N/A], [Not Supported], [N/A], 38')).toEqual([{ index: 0, name: 'NVIDIA GB10', temperature_c: 38 }]);
    for (const line of ['', 'No devices were found', 'x, a, 1, 2, 3, 4', '-1, a, 1, 2, 3, 4', '0, a, 1, 2, 3', '0, a, 1, 2, 3, 4, 5'])
      expect(gpusIn(line)).toEqual([]);
  });
});

describe('asking', () => {
  it('asks the program for those fields, each time', async () => {
    const gpus = openGpus({ program: programOf('echo "0, A, 50, 1, 2, 30"') });
    const found = { index: 0, name: 'A', utilisation_ratio: 0.5, memory_used_bytes: MIB, memory_total_bytes: 2 * MIB, temperature_c: 30 };
    expect([await gpus.read(), await gpus.read()]).toEqual([[found], [found]]);
    const question = '--query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu --format=csv,noheader,nounits';
    expect(asked().map((line) => line.slice(line.indexOf(' ') + 1))).toEqual([question, question]);
  });

  it('finds none where the program fails, and asks again', async () => {
    const gpus = openGpus({ program: programOf('echo "0, A, 50, 1, 2, 30"; exit 9') });
    expect([await gpus.read(), await gpus.read()]).toEqual([[], []]);
    expect(asked()).toHaveLength(2);
  });

  it('looks for a program that is not there once', async () => {
    const gpus = openGpus({ program: join(dir, 'smi') });
    expect(await gpus.read()).toEqual([]);
    programOf('echo "0, A, 50, 1, 2, 30"');
    expect(await gpus.read()).toEqual([]);
    expect(asked()).toEqual([]);
  });

  it('sends no signal where the program is not there, also when it is closed at once', async () => {
    const kill = vi.spyOn(ChildProcess.prototype, 'kill').mockReturnValue(true);
    try {
      const gpus = openGpus({ program: join(dir, 'smi') });
      const open = gpus.read();
      gpus.close();
      expect(await open).toEqual([]);
      expect(kill).not.toHaveBeenCalled();
    } finally {
      kill.mockRestore();
    }
  });

  it('gives up after its limit and ends the program, and does not start a second one meanwhile', async () => {
    const clock = manualClock();
    const gpus = openGpus({ program: programOf('exec sleep 600'), after: clock.after });
    const first = gpus.read();
    await until(() => asked().length === 1);
    expect(await gpus.read()).toEqual([]);
    clock.advance(LIMIT_MS);
    expect(await first).toEqual([]);
    const pid = Number(asked()[0]!.split(' ')[0]);
    await until(() => !lives(pid));
    expect(asked()).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });

  it('ends an open question when it is closed', async () => {
    const clock = manualClock();
    const gpus = openGpus({ program: programOf('exec sleep 600'), after: clock.after });
    const open = gpus.read();
    await until(() => asked().length === 1);
    gpus.close();
    expect(await open).toEqual([]);
    await until(() => !lives(Number(asked()[0]!.split(' ')[0])));
    expect(clock.pending()).toBe(0);
  });
});
