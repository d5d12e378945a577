// What the machine's NVIDIA graphics processors are doing, by asking nvidia-smi.
//
// U1. An answer takes LIMIT_MS at most and is never an error: who does not answer in time, or not in order, has no processors for now.
// U2. One question at a time: a program that cannot even be killed (a driver that hangs) is not started again while it lives.
// U3. A program that is not there is looked for once.
import { type ExecFileException, execFile } from 'node:child_process';
import { killChild, type NodeSample } from '../schemas/index.js';
import { type After, inBackground } from './background-timer.js';

export type Gpu = NodeSample['gpus'][number];

export interface Gpus {
  read(): Promise<readonly Gpu[]>;
  /** Ends a question that is open. */
  close(): void;
}

export interface GpusDeps {
  readonly program?: string;
  readonly after?: After;
}

export const LIMIT_MS = 2_000;
const FIELDS = 'index,name,utilization.gpu,memory.used,memory.total,temperature.gpu';
const QUESTION = [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits'] as const;
const MIB = 1024 * 1024;

/** A number, or undefined for what the device does not tell: `[N/A]`, `[Not Supported]`. */
const numberIn = (field: string | undefined): number | undefined =>
  field !== undefined && /^-?\d+(\.\d+)?$/.test(field) ? Number(field) : undefined;

const bytesIn = (field: string | undefined): number | undefined => {
  const mib = numberIn(field);
  return mib === undefined || mib < 0 ? undefined : Math.round(mib * MIB);
};

/** The processors in the program's answer: a line each, fields by comma and blank. Lines that are none are left out. */
export const gpusIn = (answer: string): readonly Gpu[] =>
  answer.split('\n').flatMap((line): readonly Gpu[] => {
    const fields = line.split(',').map((field) => field.trim());
    const index = numberIn(fields[0]);
    if (fields.length !== FIELDS.split(',').length || index === undefined || !Number.isInteger(index) || index < 0) return [];
    const [percent, used, total, celsius] = [numberIn(fields[2]), bytesIn(fields[3]), bytesIn(fields[4]), numberIn(fields[5])];
    return [
      {
        index,
        name: fields[1]!,
        ...(percent === undefined ? {} : { utilisation_ratio: Math.min(1, Math.max(0, percent / 100)) }),
        ...(used === undefined ? {} : { memory_used_bytes: used }),
        ...(total === undefined ? {} : { memory_total_bytes: total }),
        ...(celsius === undefined ? {} : { temperature_c: celsius }),
      },
    ];
  });

/** It cannot be started, and will not be able to: no such program, or none that we may run. */
const isMissing = (error: ExecFileException | null): boolean => error?.code === 'ENOENT' || error?.code === 'EACCES';

export const openGpus = ({ program = 'nvidia-smi', after = inBackground }: GpusDeps = {}): Gpus => {
  let missing = false;
  let end: (() => void) | undefined;

  const ask = (): Promise<readonly Gpu[]> =>
    new Promise((resolve) => {
      const child = execFile(program, QUESTION, { encoding: 'utf8', windowsHide: true }, (error, answer) => {
        missing = isMissing(error);
        callOff();
        end = undefined;
        resolve(error ? [] : gpusIn(answer));
      });
      const giveUp = (): void => {
        killChild(child, 'SIGKILL');
        // One that cannot be killed must not keep this process alive.
        child.stdout?.destroy();
        child.stderr?.destroy();
        child.unref();
        resolve([]);
      };
      const callOff = after(LIMIT_MS, giveUp);
      end = () => {
        callOff();
        giveUp();
      };
    });
  return { read: async () => (missing || end !== undefined ? [] : ask().catch(() => [])), close: () => end?.() };
};
