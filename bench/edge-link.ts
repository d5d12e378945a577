// EL: what the link of an edge node costs the edge, and how fast a core catches up with what happened during an outage.
//
// E1. What the link costs the edge is measured beside a core that takes everything and does nothing with it, as one on another machine does to this one. No history is kept: the
// engines would have the cores. E2. One node, its line cut and whole in turns, and who is first changes: two nodes of the same code on the same machine differ by more than what
// is to be seen. E3. What was kept while the line was cut is sent before the next round begins, and what a round left to send is part of its cost,
// without what the node uses while it does nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { GIVE_WAY_MS } from '../streams/runtime/index.js';
import { startFarCore } from './far-core.js';
import type { Figure } from './figure.js';
import { type BenchTask, benchTask, driveClosed } from './load.js';
import { watchOthers } from './machine.js';
import { measureLatencies, measureThroughput, warmUp } from './pipeline.js';
import { cpuMsOf, freePort, type PipelineProcess, startPipeline } from './pipeline-process.js';
import { median, percentile } from './statistics.js';

export interface EdgeLinkSize {
  /** Of the outage. */
  readonly events: number;
  readonly rounds: number;
  /** Of a round. */
  readonly tasks: number;
  /** Of the load with a fixed rate in a round. */
  readonly seconds: number;
}

const CONNECTIONS = 64;
/** Between two looks, which cost those that are looked at, in milliseconds: at the core's view of its nodes, and at the health of the edge. */
const LOOK_MS = { core: 20, edge: 250 } as const;
const LIMIT_MS = 300_000;
/** Between two tries of a node that is cut off, in milliseconds: they are not what is measured. */
const SELDOM_MS = 2_000;
/** What gave way during the load has been done after it, in milliseconds: checkpoints too, which a node makes with and without a line. */
const SETTLE_MS = GIVE_WAY_MS + 3_000;
const CALM_MS = 3_000;
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

interface Round {
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly p50: number;
}

/** Of a cut off node there is nothing to wait for. */
const allSent = (edge: PipelineProcess): Promise<unknown> =>
  until('nothing left to send', LOOK_MS.edge, async () => ((await leftAt(edge)) ?? 0) === 0);

/** CPU of a node that has nothing to do and is looked at, in milliseconds a millisecond. */
const idleOf = async (edge: PipelineProcess): Promise<number> => {
  const [cpu, began] = [cpuMsOf(edge.pid), performance.now()];
  for (; performance.now() - began < IDLE_MS; await sleep(LOOK_MS.edge)) await leftAt(edge);
  return (cpuMsOf(edge.pid) - cpu) / (performance.now() - began);
};

const measure = async (edge: PipelineProcess, { tasks, seconds }: EdgeLinkSize, idle: number): Promise<Round> => {
  // Of what was sent before.
  await sleep(CALM_MS);
  const { completed } = await measureLatencies(edge, seconds);
  const cpu = cpuMsOf(edge.pid);
  const { perSecond } = await measureThroughput(edge, tasks);
  const done = performance.now();
  await sleep(SETTLE_MS);
  await allSent(edge);
  const waiting = (performance.now() - done) * idle;
  return { perSecond, cpuMs: (cpuMsOf(edge.pid) - cpu - waiting) / tasks, p50: percentile(completed, 0.5) };
};

const overhead = async (size: EdgeLinkSize): Promise<readonly Figure[]> => {
  const far = await startFarCore();
  const edge = await startPipeline({ link: { self: 'edge', coreUrl: far.url, retryMs: SELDOM_MS }, history: false });
  const used = (): number => cpuMsOf(edge.pid) + cpuMsOf(far.pid);
  const connected: Round[] = [];
  const cutOff: Round[] = [];
  let idle = 0;
  const whileConnected = async (): Promise<void> => {
    await until('the link', LOOK_MS.edge, async () => (await leftAt(edge)) === 0);
    connected.push(await measure(edge, size, idle));
  };
  const whileCutOff = async (): Promise<void> => {
    await far.cut();
    await until('the line to be down', LOOK_MS.edge, async () => (await leftAt(edge)) === undefined);
    cutOff.push(await measure(edge, size, idle));
    await far.mend();
  };
  try {
    await until('the link', LOOK_MS.edge, () => leftAt(edge));
    await warmUp(edge);
    await allSent(edge);
    idle = await idleOf(edge);
    const [others, before] = [watchOthers(), used()];
    for (let round = 0; round < size.rounds; round++)
      for (const measured of round % 2 === 0 ? [whileCutOff, whileConnected] : [whileConnected, whileCutOff]) await measured();
    const busy = others(used() - before).toFixed(2);
    const figure = (what: string, field: keyof Round, unit: string, target?: Figure['target']): Figure => {
      const ratios = connected.map((round, i) => round[field] / cutOff[i]![field]);
      const quartiles = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(2)).join(', ');
      return {
        id: ID,
        what,
        value: median(connected.map((round) => round[field])),
        unit,
        peer: { name: 'cut off', version: '(the same node)', setting: 'in turns', value: median(cutOff.map((round) => round[field])) },
        ...(target === undefined ? {} : { target }),
        note: `${size.rounds} rounds, quartiles of their ratios ${quartiles}; others used ${busy} cores`,
      };
    };
    return [
      figure('submit to completed at 20/s at an edge node, connected, p50', 'p50', 'ms', { at: 'most', bound: 1.05 }),
      figure(`throughput of an edge node, connected, ${size.tasks} tasks`, 'perSecond', 'tasks/s', { at: 'least', bound: 0.95 }),
      figure('CPU of an edge node, connected', 'cpuMs', 'ms/task'),
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
