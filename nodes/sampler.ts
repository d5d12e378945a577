// Says how this process is, every so often: `dats.node.sampled` on the telemetry topic.
//
// T1. Telemetry is not history: a sample that cannot be appended is dropped. That is told once, and again only after one went well.
// T2. One sample at a time: while one is still on its way the next is left out. T3. It never keeps the process alive, and says nothing once it was stopped.
import { sayOn } from '../processors/index.js';
import { type NodeSample, TELEMETRY } from '../schemas/index.js';
import type { Log } from '../streams/index.js';
import { type After, inBackground } from './background-timer.js';
import { type Gpus, openGpus } from './gpus.js';
import { openReadings, type Readings } from './readings.js';
import { telemetryOf } from './telemetry.js';

export interface SamplerOptions {
  readonly log: Pick<Log, 'append'>;
  /** From one sample to the next, in seconds; the first is taken at once. 0: never. */
  readonly everyS: number;
  readonly node: string;
  readonly version: string;
  /** What this process does, as `describeRoles` says it. */
  readonly roles: string;
  readonly configVersion: () => string;
  readonly now: () => number;
  /** Work items that run in this process now. */
  readonly runningWork: () => number;
  readonly onProblem: (error: unknown) => void;
  readonly after?: After;
  readonly readings?: Readings;
  readonly gpus?: Gpus;
}

export interface Sampler {
  stop(): void;
}

export const startSampler = (options: SamplerOptions): Sampler => {
  const { log, everyS, node, version, roles, configVersion, now, runningWork, onProblem, after = inBackground } = options;
  if (everyS === 0) return { stop: () => {} };
  const { readings = openReadings(), gpus = openGpus() } = options;
  const worker = `${node}:${process.pid}`;
  let stopped = false;
  let onItsWay = false;
  let told = false;
  let callOff: () => void;

  const append = async (data: NodeSample): Promise<void> => {
    await log.append([telemetryOf({ node, configVersion, now }, sayOn(TELEMETRY, node, 'dats.node.sampled', node, data))]);
  };
  const sample = async (): Promise<void> => {
    const found = [...(await gpus.read())];
    if (!stopped) await append({ node, worker, version, roles, ...readings.read(), running_work: runningWork(), gpus: found });
  };
  const settled = (error?: unknown): void => {
    onItsWay = false;
    if (error !== undefined && !told && !stopped) onProblem(error);
    told = error !== undefined;
  };
  const turn = (): void => {
    callOff = after(everyS * 1_000, turn);
    if (onItsWay) return;
    onItsWay = true;
    sample().then(() => settled(), settled);
  };
  turn();
  return {
    stop: () => {
      stopped = true;
      callOff();
      gpus.close();
      readings.close();
    },
  };
};
