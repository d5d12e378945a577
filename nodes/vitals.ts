// How this node is right now: for its beats, and for whoever asks what nodes there are.
//
// V1. Asked by many at once, or again within FRESH_MS, it is looked at once. V2. It never fails: what does not answer in time is missing (a group's lag) or empty.
// V3. Nothing is looked at while nobody asks.
import type { ModelGateway } from '../models/index.js';
import { type AdmissionState, type NodeVitals, toFault } from '../schemas/index.js';
import { type Log, within } from '../streams/index.js';
import { type Gpus, openGpus } from './gpus.js';
import { openReadings, type Readings } from './readings.js';

/** What was looked at a moment ago is answered again, milliseconds. */
export const FRESH_MS = 2_000;
const LIMIT_MS = 1_500;

export interface VitalsOptions {
  readonly log: Pick<Log, 'lag'>;
  readonly models: Pick<ModelGateway, 'status'>;
  readonly groups: readonly { readonly group: string; readonly topics: Parameters<Log['lag']>[1] }[];
  readonly admission: () => AdmissionState;
  /** Work items that run in this process now. */
  readonly runningWork: () => number;
  readonly onProblem: (error: unknown) => void;
  readonly readings?: () => Readings;
  readonly gpus?: Gpus;
  /** Milliseconds; never falls. */
  readonly now?: () => number;
}

export interface Vitals {
  read(): Promise<NodeVitals>;
  close(): void;
}

export const openVitals = (options: VitalsOptions): Vitals => {
  const { log, models, groups, admission, runningWork, onProblem, gpus = openGpus(), now = () => performance.now() } = options;
  let readings: Readings | undefined;
  let last: { readonly at: number; readonly vitals: Promise<NodeVitals> } | undefined;

  const answered = async <T>(question: Promise<T>): Promise<T | undefined> =>
    within(LIMIT_MS, question).catch((error: unknown) => void onProblem(toFault(error)));

  const lagOf = async ({ group, topics }: VitalsOptions['groups'][number]): Promise<readonly [string, number][]> => {
    const lags = await answered(log.lag(group, topics));
    return lags === undefined ? [] : [[group, lags.reduce((sum, { lag }) => sum + lag, 0)]];
  };

  const look = async (): Promise<NodeVitals> => {
    readings ??= (options.readings ?? openReadings)();
    const { uptime_s, cpu_ratio, load_1m, rss_bytes, memory_free_bytes, memory_total_bytes } = readings.read();
    const [found, status, lags] = await Promise.all([gpus.read(), answered(models.status()), Promise.all(groups.map(lagOf))]);
    return {
      admission: admission(),
      uptime_s,
      cpu_ratio,
      load_1m,
      rss_bytes,
      memory_free_bytes,
      memory_total_bytes,
      gpus: [...found],
      models: (status ?? []).map(({ id, health, features }) => ({
        id,
        ok: health.ok,
        ...(features?.loaded === undefined ? {} : { loaded: features.loaded }),
      })),
      lag: Object.fromEntries(lags.flat()),
      running_work: runningWork(),
    };
  };

  return {
    read: async () => {
      const at = now();
      if (last === undefined || at - last.at > FRESH_MS) last = { at, vitals: look() };
      // How it is about work is asked for by operators who wait for it to change.
      return { ...(await last.vitals), admission: admission(), running_work: runningWork() };
    },
    close: () => {
      gpus.close();
      readings?.close();
    },
  };
};
