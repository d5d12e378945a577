// Where the demo keeps what it did, so that it can be asked afterwards: beside the data folder, emptied when the next demo begins.
//
// F1. Only a folder that a demo made is emptied. F2. One demo at a time has it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Fault } from '../../schemas/index.js';

const MARK = 'demo.json';

/** @param dataDir the data folder that is configured */
export const demoDataDir = (dataDir: string): string => join(dirname(dataDir), `${basename(dataDir)}-demo`);

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** An empty folder for a demo. @throws Fault terminal `demo_folder` when it is not a demo's (F1), is in use (F2) or cannot be made */
export const freshDemoFolder = (dataDir: string): string => {
  const dir = demoDataDir(dataDir);
  const refuse = (why: string): never => {
    throw new Fault('terminal', 'demo_folder', `the demo wants to keep its data in ${dir}, but ${why}`);
  };
  const mark = join(dir, MARK);
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    if (!existsSync(mark)) refuse('there is something else; move it away, or set another DATS_DATA_DIR');
    const { pid } = JSON.parse(readFileSync(mark, 'utf8')) as { pid: number };
    if (pid !== process.pid && isAlive(pid)) refuse(`another demo is at it (process ${pid}); wait for it, or set another DATS_DATA_DIR`);
  }
  try {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    writeFileSync(mark, JSON.stringify({ pid: process.pid }));
  } catch (error) {
    refuse(`it cannot be written (${(error as NodeJS.ErrnoException).code}); run it in a folder of yours, or set DATS_DATA_DIR`);
  }
  return dir;
};
