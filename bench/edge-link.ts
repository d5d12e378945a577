// EL: what the link of an edge node costs the edge, and how fast a core catches up with what happened during an outage.
//
// E1. What the link costs the edge is judged beside a core that takes everything and does nothing with it, as one on another machine does to this one; its speed beside a real core
// that works on the same cores and disk is told. No history is kept: the engines would have the cores. E2. Rounds with and without the link take turns, so that a machine that becomes slower becomes so for both.
import { setTimeout as sleep } from 'node:timers/promises';
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
const ID = 'EL';

interface Pair {
  readonly core: PipelineProcess;
  readonly edge: PipelineProcess;
  stop(): Promise<void>;
}

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

const startPair = async (): Promise<Pair> => {
  const at = await freePort();
  const coreUrl = `http://127.0.0.1:${at}`;
  const core = await startPipeline({ at, link: { self: 'core', coreUrl }, history: false });
  const edge = await startPipeline({ link: { self: 'edge', coreUrl }, history: false });
  await until('the link', LOOK_MS.edge, () => leftAt(edge));
  return { core, edge, stop: async () => void (await Promise.all([edge.stop(), core.stop()])) };
};

interface Round {
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly p50: number;
}

const measure = async (edge: PipelineProcess, { tasks, seconds }: EdgeLinkSize): Promise<Round> => {
  const { completed } = await measureLatencies(edge, seconds);
  const cpu = cpuMsOf(edge.pid);
  const { perSecond } = await measureThroughput(edge, tasks);
  // What of it was not sent yet is sent now, at the cost of the same tasks.
  if ((await leftAt(edge)) !== undefined) await until('nothing left to send', LOOK_MS.edge, async () => (await leftAt(edge)) === 0);
  return { perSecond, cpuMs: (cpuMsOf(edge.pid) - cpu) / tasks, p50: percentile(completed, 0.5) };
};

/** What it is measured beside, and what for. */
interface Lane {
  readonly edge: PipelineProcess;
  readonly rounds: Round[];
}

const overhead = async (size: EdgeLinkSize): Promise<readonly Figure[]> => {
  const far = await startFarCore();
  const pair = await startPair();
  const alone: Lane = { edge: await startPipeline({ history: false }), rounds: [] };
  const linked: Lane = { edge: await startPipeline({ link: { self: 'edge', coreUrl: far.url }, history: false }), rounds: [] };
  const beside: Lane = { edge: pair.edge, rounds: [] };
  const lanes = [alone, linked, beside];
  const used = (): number => [...lanes.map(({ edge }) => edge.pid), pair.core.pid, far.pid].reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  try {
    await until('the link', LOOK_MS.edge, () => leftAt(linked.edge));
    for (const { edge } of lanes) await warmUp(edge);
    const [others, before] = [watchOthers(), used()];
    for (let round = 0; round < size.rounds; round++)
      for (const i of lanes.keys()) {
        const { edge, rounds } = lanes[(i + round) % lanes.length]!;
        rounds.push(await measure(edge, size));
      }
    const note = `${size.rounds} rounds in turns, others used ${others(used() - before).toFixed(2)} cores`;
    const of = ({ rounds }: Lane, what: keyof Round): number => median(rounds.map((round) => round[what]));
    const figure = (what: string, lane: Lane, field: keyof Round, unit: string, target?: Figure['target']): Figure => ({
      id: ID,
      what,
      value: of(lane, field),
      unit,
      peer: { name: 'without a link', version: '(the same node)', setting: 'in turns', value: of(alone, field) },
      ...(target === undefined ? {} : { target }),
      note,
    });
    return [
      figure('CPU of an edge node, connected', linked, 'cpuMs', 'ms/task', { at: 'most', bound: 1.05 }),
      figure('submit to completed at 20/s at an edge node, connected, p50', linked, 'p50', 'ms', { at: 'most', bound: 1.05 }),
      figure(`throughput of an edge node, ${size.tasks} tasks`, linked, 'perSecond', 'tasks/s'),
      figure('p50 beside a core that works on the same cores and disk', beside, 'p50', 'ms'),
      figure(`throughput of an edge node, ${size.tasks} tasks, beside that core`, beside, 'perSecond', 'tasks/s'),
    ];
  } finally {
    await Promise.all([alone.edge.stop(), linked.edge.stop(), pair.stop(), far.stop()]);
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
