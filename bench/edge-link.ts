// EL: what the link of an edge node costs the edge, and how fast a core catches up with what happened during an outage.
//
// E1. What the link costs the edge is measured beside a core that takes everything and does nothing with it, as one on another machine does to this one. No history is kept: the
// engines would have the cores. E2. One node, its line cut and whole in turns, and who is first changes: two nodes of the same code on the same machine differ by more than what
// is to be seen. E3. What was kept while the line was cut is sent before the next round begins, and what a round left to send is part of its cost,
// without what the node uses while it does nothing. E4. Latencies have rounds of their own, many and short: this machine's own speed drifts within minutes, by more than what is
// to be seen.
import { setTimeout as sleep } from 'node:timers/promises';
import { type FarCore, startFarCore } from './far-core.js';
import type { Figure } from './figure.js';
import { type BenchTask, benchTask, driveClosed } from './load.js';
import { watchOthers } from './machine.js';
import { measureLatencies, measureThroughput, TASKS_PER_SECOND, warmUp } from './pipeline.js';
import { cpuMsOf, freePort, type PipelineProcess, startPipeline } from './pipeline-process.js';
import { median, percentile } from './statistics.js';

export interface EdgeLinkSize {
  /** Of the outage. */
  readonly events: number;
  /** Of as many tasks as fast as they go. */
  readonly bursts: number;
  readonly tasks: number;
  /** Of a load with a fixed rate, for so long. */
  readonly rounds: number;
  readonly seconds: number;
}

const CONNECTIONS = 64;
/** Between two looks, which cost those that are looked at, in milliseconds: at the core's view of its nodes, and at the health of the edge. */
const LOOK_MS = { core: 20, edge: 250 } as const;
const LIMIT_MS = 300_000;
/** Between two tries of a node that is cut off, in milliseconds: they are not what is measured. */
const SELDOM_MS = 2_000;
/** What gave way during the load has begun after it, in milliseconds: checkpoints too, which a node makes with and without a line. */
const SETTLE_MS = 2_500;
const CALM_MS = 1_500;
/** How long a node with nothing to do is watched, in milliseconds. */
const IDLE_MS = 5_000;
const ID = 'EL';

interface NodeList {
  readonly nodes: readonly { readonly id: string; readonly cursors: Readonly<Record<string, number>> }[];
}

const getJson = async <T>(port: number, path: string): Promise<T> => (await fetch(`http://127.0.0.1:${port}${path}`)).json() as Promise<T>;

/** Records of the edge that the core has. */
const takenIn = async (core: PipelineProcess): Promise<number> => {
  const { nodes } = await getJson<NodeList>(core.port, '/api/v1/nodes');
  return Object.values(nodes.find(({ id }) => id === 'edge')!.cursors).reduce((sum, cursor) => sum + cursor, 0);
};

/** What the edge has to send; undefined while it is cut off. */
const leftAt = async (edge: PipelineProcess): Promise<number | undefined> => {
  const { dependencies } = await getJson<{ dependencies: { name: string; detail?: string }[] }>(edge.port, '/health');
  const said = /^connected, (\d+) records/.exec(dependencies.find(({ name }) => name === 'core')?.detail ?? '');
  return said === null ? undefined : Number(said[1]);
};

const until = async <T>(what: string, lookMs: number, look: () => Promise<T | undefined | false>): Promise<T> => {
  for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline; await sleep(lookMs)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`${what}: not within ${LIMIT_MS} ms`);
};

/** Of a cut off node there is nothing to wait for. */
const allSent = (edge: PipelineProcess): Promise<unknown> =>
  until('nothing left to send', LOOK_MS.edge, async () => ((await leftAt(edge)) ?? 0) === 0);

/** CPU of a node that has nothing to do and is looked at, in milliseconds a millisecond. */
const idleOf = async (edge: PipelineProcess): Promise<number> => {
  const [cpu, began] = [cpuMsOf(edge.pid), performance.now()];
  for (; performance.now() - began < IDLE_MS; await sleep(LOOK_MS.edge)) await leftAt(edge);
  return (cpuMsOf(edge.pid) - cpu) / (performance.now() - began);
};

interface Burst {
  readonly perSecond: number;
  readonly cpuMs: number;
}

const measureBurst = async (edge: PipelineProcess, tasks: number, idle: number): Promise<Burst> => {
  const cpu = cpuMsOf(edge.pid);
  const { perSecond } = await measureThroughput(edge, tasks);
  const done = performance.now();
  await sleep(SETTLE_MS);
  await allSent(edge);
  const waiting = (performance.now() - done) * idle;
  return { perSecond, cpuMs: (cpuMsOf(edge.pid) - cpu - waiting) / tasks };
};

/** What was measured with the line whole, and with the line cut. */
interface Turns<T> {
  readonly connected: readonly T[];
  readonly cutOff: readonly T[];
}

/** E2. */
const inTurns = async <T>(far: FarCore, edge: PipelineProcess, rounds: number, measure: () => Promise<T>): Promise<Turns<T>> => {
  const [connected, cutOff]: [T[], T[]] = [[], []];
  const whileConnected = async (): Promise<void> => {
    await until('the link', LOOK_MS.edge, async () => (await leftAt(edge)) === 0);
    await sleep(CALM_MS);
    connected.push(await measure());
  };
  const whileCutOff = async (): Promise<void> => {
    await far.cut();
    await until('the line to be down', LOOK_MS.edge, async () => (await leftAt(edge)) === undefined);
    await sleep(CALM_MS);
    cutOff.push(await measure());
    await far.mend();
  };
  for (let round = 0; round < rounds; round++)
    for (const turn of round % 2 === 0 ? [whileCutOff, whileConnected] : [whileConnected, whileCutOff]) await turn();
  return { connected, cutOff };
};

const each = <T, U>({ connected, cutOff }: Turns<T>, of: (one: T) => U): Turns<U> => ({
  connected: connected.map(of),
  cutOff: cutOff.map(of),
});
const medians = ({ connected, cutOff }: Turns<number>): readonly [number, number] => [median(connected), median(cutOff)];

const quartilesOfRatios = ({ connected, cutOff }: Turns<number>): string => {
  const ratios = connected.map((value, i) => value / cutOff[i]!);
  return `${ratios.length} rounds, quartiles of their ratios ${[0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(2)).join(', ')}`;
};

const overhead = async ({ bursts, tasks, rounds, seconds }: EdgeLinkSize): Promise<readonly Figure[]> => {
  const far = await startFarCore();
  const edge = await startPipeline({ link: { self: 'edge', coreUrl: far.url, retryMs: SELDOM_MS }, history: false });
  const used = (): number => cpuMsOf(edge.pid) + cpuMsOf(far.pid);
  try {
    await until('the link', LOOK_MS.edge, () => leftAt(edge));
    await warmUp(edge);
    await sleep(SETTLE_MS);
    await allSent(edge);
    const idle = await idleOf(edge);
    const [others, before] = [watchOthers(), used()];
    const latencies = await inTurns(far, edge, rounds, async () => (await measureLatencies(edge, seconds)).completed);
    const burst = await inTurns(far, edge, bursts, () => measureBurst(edge, tasks, idle));
    const othersUsed = `others used ${others(used() - before).toFixed(2)} cores`;
    const figure = (
      what: string,
      unit: string,
      [connected, cutOff]: readonly [number, number],
      turns: Turns<number>,
      target?: Figure['target'],
    ): Figure => ({
      id: ID,
      what,
      value: connected,
      unit,
      peer: { name: 'cut off', version: '(the same node)', setting: 'in turns', value: cutOff },
      ...(target === undefined ? {} : { target }),
      note: `${quartilesOfRatios(turns)}; ${othersUsed}`,
    });
    const p50s = each(latencies, (completed) => percentile(completed, 0.5));
    const [perSecond, cpuMs] = [each(burst, (one) => one.perSecond), each(burst, (one) => one.cpuMs)];
    return [
      figure(
        `submit to completed at ${TASKS_PER_SECOND}/s at an edge node, connected, p50`,
        'ms',
        [percentile(latencies.connected.flat(), 0.5), percentile(latencies.cutOff.flat(), 0.5)],
        p50s,
        { at: 'most', bound: 1.05 },
      ),
      figure(`throughput of an edge node, connected, ${tasks} tasks`, 'tasks/s', medians(perSecond), perSecond, {
        at: 'least',
        bound: 0.95,
      }),
      figure('CPU of an edge node, connected', 'ms/task', medians(cpuMs), cpuMs),
    ];
  } finally {
    await Promise.all([edge.stop(), far.stop()]);
  }
};

const tasksOf = (count: number): readonly BenchTask[] => Array.from({ length: count }, (_, i) => benchTask(i));

/** Events a task, about: seven of its life, and two calls. */
const EVENTS_PER_TASK = 9;

const catchUp = async ({ events }: EdgeLinkSize): Promise<readonly Figure[]> => {
  const at = await freePort();
  const coreUrl = `http://127.0.0.1:${at}`;
  const edge = await startPipeline({ link: { self: 'edge', coreUrl }, history: false });
  const tasks = tasksOf(Math.ceil(events / EVENTS_PER_TASK));
  let core: PipelineProcess | undefined;
  try {
    await driveClosed(
      edge.port,
      tasks.map(({ request }) => request),
      CONNECTIONS,
    );
    await edge.waitFor(tasks.length);
    const cpuBefore = cpuMsOf(edge.pid);
    const others = watchOthers();
    core = await startPipeline({ at, link: { self: 'core', coreUrl }, history: false });
    const begin = performance.now();
    const coreBefore = cpuMsOf(core.pid);
    const before = await takenIn(core);
    const left = await until('the link', LOOK_MS.core, () => leftAt(edge));
    const all = (await takenIn(core)) + left;
    await until('everything at the core', LOOK_MS.core, async () => (await takenIn(core!)) >= all);
    const ms = performance.now() - begin;
    const count = all - before;
    const [edgeMs, coreMs] = [cpuMsOf(edge.pid) - cpuBefore, cpuMsOf(core.pid) - coreBefore];
    const note = `${Math.round(ms)} ms for ${count} events, ${before} more before the core was ready; others used ${others(edgeMs + coreMs).toFixed(2)} cores`;
    return [
      { id: ID, what: `catch-up of ${events} events after an outage`, value: (count / ms) * 1_000, unit: 'events/s', note },
      { id: ID, what: 'the same, CPU of the edge node', value: (edgeMs * 1_000) / (count + before), unit: 'us/event' },
      {
        id: ID,
        what: 'the same, CPU of the core, its views included',
        value: (coreMs * 1_000) / count,
        unit: 'us/event',
      },
    ];
  } finally {
    await Promise.all([edge.stop(), core?.stop()]);
  }
};

export const benchEdgeLink = async (size: EdgeLinkSize): Promise<readonly Figure[]> => [
  ...(await catchUp(size)),
  ...(await overhead(size)),
];
