// EL: what the link of an edge node costs the edge, and how fast a core catches up with what happened during an outage.
//
// E1. Both nodes are on this machine and share its cores, which two machines would not: what the edge itself uses for a task (CPU) is judged, and its speed beside a
// working core is told. No history is kept: the engines would have the cores. E2. Rounds with and without the link take turns, so that a machine that becomes slower becomes so for both.
import { setTimeout as sleep } from 'node:timers/promises';
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

const overhead = async (size: EdgeLinkSize): Promise<readonly Figure[]> => {
  const alone = await startPipeline({ history: false });
  const pair = await startPair();
  const without: Round[] = [];
  const linked: Round[] = [];
  const used = (): number => [alone, pair.edge, pair.core].reduce((sum, { pid }) => sum + cpuMsOf(pid), 0);
  try {
    await warmUp(alone);
    await warmUp(pair.edge);
    const [others, before] = [watchOthers(), used()];
    for (let round = 0; round < size.rounds; round++) {
      const turns = [async () => without.push(await measure(alone, size)), async () => linked.push(await measure(pair.edge, size))];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
    }
    const note = `${size.rounds} rounds in turns, others used ${others(used() - before).toFixed(2)} cores`;
    const of = (rounds: readonly Round[], what: keyof Round): number => median(rounds.map((round) => round[what]));
    const figure = (what: string, field: keyof Round, unit: string, target?: Figure['target']): Figure => ({
      id: ID,
      what,
      value: of(linked, field),
      unit,
      peer: { name: 'without a link', version: '(the same node)', setting: 'in turns', value: of(without, field) },
      ...(target === undefined ? {} : { target }),
      note,
    });
    return [
      figure('CPU of an edge node, connected', 'cpuMs', 'ms/task', { at: 'most', bound: 1.05 }),
      figure('submit to completed at 20/s at an edge node, connected, p50', 'p50', 'ms', { at: 'most', bound: 1.05 }),
      figure(`throughput of an edge node, ${size.tasks} tasks, the core working on the same cores`, 'perSecond', 'tasks/s'),
    ];
  } finally {
    await Promise.all([alone.stop(), pair.stop()]);
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
