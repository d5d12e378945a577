// The load part of P10: so many clients at once, each asks again when it was answered; the same for every gateway, one after another, in rounds.
import { type HttpLane, type Lane, openHttpLane } from './chat-lanes.js';
import { cpuMsOf } from './pipeline-process.js';
import { percentile } from './statistics.js';

export interface LoadedLane extends HttpLane {
  /** Whose CPU time is counted. */
  readonly pid: number;
}

export interface LoadTaken {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Of the process that answers, milliseconds a call. */
  readonly cpuMs: number;
}

/** Concurrency -> lane -> what was taken, the median of the rounds each. */
export type LoadTable = ReadonlyMap<number, ReadonlyMap<string, LoadTaken>>;

/** Calls of each client before its clock starts. */
const WARM_UP = 5;

const drive = async (lane: LoadedLane, clients: number, seconds: number, lastWord: string): Promise<LoadTaken> => {
  const open: readonly Lane[] = Array.from({ length: clients }, () => openHttpLane(lane, lastWord));
  const latencies: number[] = [];
  try {
    await Promise.all(
      open.map(async (client) => {
        for (let i = 0; i < WARM_UP; i++) await client.ask(false);
      }),
    );
    const [cpu, begin] = [cpuMsOf(lane.pid), performance.now()];
    const end = begin + seconds * 1_000;
    await Promise.all(
      open.map(async (client) => {
        while (performance.now() < end) latencies.push((await client.ask(false)).totalMs);
      }),
    );
    const took = performance.now() - begin;
    return {
      perSecond: (latencies.length / took) * 1_000,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      cpuMs: (cpuMsOf(lane.pid) - cpu) / latencies.length,
    };
  } finally {
    for (const client of open) client.close();
  }
};

const medianOf = (rounds: readonly LoadTaken[]): LoadTaken => {
  const of = (field: keyof LoadTaken): number =>
    percentile(
      rounds.map((round) => round[field]),
      0.5,
    );
  return { perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), cpuMs: of('cpuMs') };
};

/** Every lane at every concurrency, the rounds interleaved. */
export const loadLanes = async (
  lanes: readonly LoadedLane[],
  { clients, rounds, seconds }: { readonly clients: readonly number[]; readonly rounds: number; readonly seconds: number },
  lastWord: string,
): Promise<LoadTable> => {
  const table = new Map<number, Map<string, LoadTaken>>();
  for (const count of clients) {
    const taken = new Map<string, LoadTaken[]>(lanes.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const lane of lanes) taken.get(lane.name)!.push(await drive(lane, count, seconds, lastWord));
    table.set(count, new Map([...taken].map(([name, values]) => [name, medianOf(values)])));
  }
  return table;
};
