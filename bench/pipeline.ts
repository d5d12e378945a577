// P1 to P4 with our own load: throughput, submission, status queries and latency of one node with every role, over HTTP, durable.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure } from './figure.js';
import { type BenchTask, benchTask, type Driven, driveClosed, driveOpen } from './load.js';
import { diskUse, watchOthers } from './machine.js';
import { cpuMsOf, memoryOf, type PipelineProcess, startPipeline } from './pipeline-process.js';
import { percentile } from './statistics.js';

export interface PipelineSize {
  readonly tasks: number;
  /** Of the loads with a fixed rate. */
  readonly seconds: number;
}

const WARM_UP = 2_000;
const WARM_UP_CONNECTIONS = 8;
const SETTLE_MS = 500;
const THROUGHPUT_CONNECTIONS = 64;
const SUBMISSION_CONNECTIONS = 100;
export const TASKS_PER_SECOND = 20;
const QUERIES_PER_SECOND = 50;

const tasksOf = (count: number): readonly BenchTask[] => Array.from({ length: count }, (_, i) => benchTask(i));
const requestsOf = (tasks: readonly BenchTask[]) => tasks.map((task) => task.request);
const idsOf = (driven: Driven): readonly string[] => driven.replies.map((reply) => (JSON.parse(reply.body) as { task_id: string }).task_id);

/** Submits with closed loops and waits until the pipeline has completed everything. */
const drive = async (pipeline: PipelineProcess, tasks: readonly BenchTask[], connections: number): Promise<Driven> => {
  const before = pipeline.completed.size;
  const driven = await driveClosed(pipeline.port, requestsOf(tasks), connections);
  await pipeline.waitFor(before + tasks.length);
  return driven;
};

export interface Throughput {
  readonly perSecond: number;
  /** CPU time of the whole node, in milliseconds a task. */
  readonly cpuMs: number;
  readonly flushes: number;
  readonly writtenKb: number;
  /** Memory of the node, and what else the figure depends on. */
  readonly note: string;
}

/** P1: closed loop, to the last completed task. `alsoMeasuredMs` tells the CPU time of servers that belong to what is measured. */
export const measureThroughput = async (
  pipeline: PipelineProcess,
  count: number,
  alsoMeasuredMs = (): number => 0,
): Promise<Throughput> => {
  const tasks = tasksOf(count);
  const [cpu, also, disk, others] = [cpuMsOf(pipeline.pid), alsoMeasuredMs(), diskUse(), watchOthers()];
  const { begin } = await drive(pipeline, tasks, THROUGHPUT_CONNECTIONS);
  const end = Math.max(...tasks.map((task) => pipeline.completed.get(task.id)!));
  const used = cpuMsOf(pipeline.pid) - cpu;
  const othersCores = others(used + alsoMeasuredMs() - also).toFixed(2);
  const written = diskUse();
  const { residentMb, anonymousMb } = memoryOf(pipeline.pid);
  return {
    perSecond: (count / (end - begin)) * 1_000,
    cpuMs: used / count,
    flushes: (written.flushes - disk.flushes) / count,
    writtenKb: (written.writtenKb - disk.writtenKb) / count,
    note: `${Math.round(residentMb)} MB, of it anonymous ${Math.round(anonymousMb)} MB, others used ${othersCores} cores`,
  };
};

/** How P1 calls its load. */
export const throughputOf = (tasks: number): string => `throughput, ${tasks} tasks, ${THROUGHPUT_CONNECTIONS} connections`;

const throughput = async (pipeline: PipelineProcess, { tasks }: PipelineSize): Promise<readonly Figure[]> => {
  const { perSecond, cpuMs, flushes, writtenKb, note } = await measureThroughput(pipeline, tasks);
  return [
    { id: 'P1', what: throughputOf(tasks), value: perSecond, unit: 'tasks/s', note },
    { id: 'P1', what: 'CPU of the node', value: cpuMs, unit: 'ms/task', target: { at: 'most', bound: 0.25 } },
    { id: 'P1', what: 'disk flushes, whole machine', value: flushes, unit: 'flushes/task' },
    { id: 'P1', what: 'written to disk, whole machine', value: writtenKb, unit: 'kB/task' },
  ];
};

export interface Latencies {
  readonly taskIds: readonly string[];
  /** POST to its answer, in milliseconds. */
  readonly submitted: readonly number[];
  /** Request sent to completed, in milliseconds. */
  readonly completed: readonly number[];
}

/** P2 and P4: open loop at TASKS_PER_SECOND. */
export const measureLatencies = async (pipeline: PipelineProcess, seconds: number): Promise<Latencies> => {
  const tasks = tasksOf(seconds * TASKS_PER_SECOND);
  const sent: number[] = [];
  const before = pipeline.completed.size;
  const driven = await driveOpen(pipeline.port, requestsOf(tasks), TASKS_PER_SECOND, (i, at) => {
    sent[i] = at;
  });
  await pipeline.waitFor(before + tasks.length);
  return {
    taskIds: idsOf(driven),
    submitted: driven.latencies,
    completed: tasks.map((task, i) => pipeline.completed.get(task.id)! - sent[i]!),
  };
};

const atLowRate = async (pipeline: PipelineProcess, size: PipelineSize): Promise<readonly Figure[]> => {
  const { submitted, completed } = await measureLatencies(pipeline, size.seconds);
  const rate = `at ${TASKS_PER_SECOND}/s`;
  return [
    { id: 'P2', what: `submission ${rate}, p50`, value: percentile(submitted, 0.5), unit: 'ms', target: { at: 'most', bound: 1.5 } },
    { id: 'P2', what: `submission ${rate}, p95`, value: percentile(submitted, 0.95), unit: 'ms', target: { at: 'most', bound: 3 } },
    { id: 'P2', what: `submission ${rate}, p99`, value: percentile(submitted, 0.99), unit: 'ms' },
    { id: 'P4', what: completedOf('p50'), value: percentile(completed, 0.5), unit: 'ms', target: { at: 'most', bound: 4 } },
    { id: 'P4', what: completedOf('p95'), value: percentile(completed, 0.95), unit: 'ms', target: { at: 'most', bound: 8 } },
  ];
};

/** How P4 calls its figure. */
export const completedOf = (rank: 'p50' | 'p95'): string => `submit to completed at ${TASKS_PER_SECOND}/s, ${rank}`;

const atManyConnections = async (pipeline: PipelineProcess, size: PipelineSize): Promise<readonly Figure[]> => {
  const { latencies, begin, end } = await drive(pipeline, tasksOf(size.tasks), SUBMISSION_CONNECTIONS);
  const what = `submission, ${SUBMISSION_CONNECTIONS} connections, the pipeline working`;
  const perSecond = (size.tasks / (end - begin)) * 1_000;
  return [
    { id: 'P2', what: `${what}, rate`, value: perSecond, unit: 'tasks/s', target: { at: 'least', bound: 8_000 } },
    { id: 'P2', what: `${what}, p50`, value: percentile(latencies, 0.5), unit: 'ms' },
    { id: 'P2', what: `${what}, p99`, value: percentile(latencies, 0.99), unit: 'ms', target: { at: 'most', bound: 50 } },
  ];
};

/** Queries of known tasks at a fixed rate for as long as the load runs. */
const queriesDuring = async (
  pipeline: PipelineProcess,
  ids: readonly string[],
  seconds: number,
  load: Promise<unknown>,
): Promise<number> => {
  const requests = Array.from({ length: seconds * QUERIES_PER_SECOND }, (_, i) => ['GET', `/api/v1/tasks/${ids[i % ids.length]}`] as const);
  const [{ latencies }] = await Promise.all([driveOpen(pipeline.port, requests, QUERIES_PER_SECOND), load]);
  return percentile(latencies, 0.95);
};

const statusQueries = async (pipeline: PipelineProcess, size: PipelineSize): Promise<readonly Figure[]> => {
  const ids = idsOf(await drive(pipeline, tasksOf(500), WARM_UP_CONNECTIONS));
  const before = pipeline.completed.size;
  const few = tasksOf(size.seconds * TASKS_PER_SECOND);
  const quiet = await queriesDuring(pipeline, ids, size.seconds, driveOpen(pipeline.port, requestsOf(few), TASKS_PER_SECOND));
  await pipeline.waitFor(before + few.length);
  const busy = await queriesDuring(pipeline, ids, 2, drive(pipeline, tasksOf(size.tasks), SUBMISSION_CONNECTIONS));
  const what = `status query at ${QUERIES_PER_SECOND}/s`;
  return [
    {
      id: 'P3',
      what: `${what} beside ${TASKS_PER_SECOND} submissions/s, p95`,
      value: quiet,
      unit: 'ms',
      target: { at: 'most', bound: 3 },
    },
    { id: 'P3', what: `${what} while ${SUBMISSION_CONNECTIONS} connections submit all they can, p95`, value: busy, unit: 'ms' },
  ];
};

/** What was compiled and opened lazily is, after it. */
export const warmUp = async (pipeline: PipelineProcess, connections = WARM_UP_CONNECTIONS): Promise<void> => {
  await drive(pipeline, tasksOf(WARM_UP), connections);
  await sleep(SETTLE_MS);
};

/** Those of P1 to P4 that are in `wanted`, each load on the same warm process. */
export const benchPipeline = async (wanted: ReadonlySet<string>, size: PipelineSize): Promise<readonly Figure[]> => {
  const pipeline = await startPipeline();
  try {
    const figures: Figure[] = [];
    await warmUp(pipeline);
    if (wanted.has('P2') || wanted.has('P4')) figures.push(...(await atLowRate(pipeline, size)));
    if (wanted.has('P1')) figures.push(...(await throughput(pipeline, size)));
    if (wanted.has('P3')) figures.push(...(await statusQueries(pipeline, size)));
    if (wanted.has('P2')) figures.push(...(await atManyConnections(pipeline, size)));
    return figures.filter((figure) => wanted.has(figure.id));
  } finally {
    await pipeline.stop();
  }
};
