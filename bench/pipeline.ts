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
const THROUGHPUT_CONNECTIONS = 64;
const SUBMISSION_CONNECTIONS = 100;
const TASKS_PER_SECOND = 20;
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

const throughput = async (pipeline: PipelineProcess, size: PipelineSize): Promise<readonly Figure[]> => {
  const tasks = tasksOf(size.tasks);
  const [cpu, disk, others] = [cpuMsOf(pipeline.pid), diskUse(), watchOthers()];
  const { begin } = await drive(pipeline, tasks, THROUGHPUT_CONNECTIONS);
  const end = Math.max(...tasks.map((task) => pipeline.completed.get(task.id)!));
  const used = cpuMsOf(pipeline.pid) - cpu;
  const othersCores = others(used).toFixed(2);
  const written = diskUse();
  const { residentMb, anonymousMb } = memoryOf(pipeline.pid);
  const n = size.tasks;
  return [
    {
      id: 'P1',
      what: `throughput, ${n} tasks, ${THROUGHPUT_CONNECTIONS} connections`,
      value: (n / (end - begin)) * 1_000,
      unit: 'tasks/s',
      note: `${Math.round(residentMb)} MB, of it anonymous ${Math.round(anonymousMb)} MB, others used ${othersCores} cores`,
    },
    {
      id: 'P1',
      what: 'CPU of the node',
      value: used / n,
      unit: 'ms/task',
      target: { at: 'most', bound: 0.25 },
    },
    { id: 'P1', what: 'disk flushes, whole machine', value: (written.flushes - disk.flushes) / n, unit: 'flushes/task' },
    { id: 'P1', what: 'written to disk, whole machine', value: (written.writtenKb - disk.writtenKb) / n, unit: 'kB/task' },
  ];
};

const atLowRate = async (pipeline: PipelineProcess, size: PipelineSize): Promise<readonly Figure[]> => {
  const tasks = tasksOf(size.seconds * TASKS_PER_SECOND);
  const sent: number[] = [];
  const before = pipeline.completed.size;
  const { latencies } = await driveOpen(pipeline.port, requestsOf(tasks), TASKS_PER_SECOND, (i, at) => {
    sent[i] = at;
  });
  await pipeline.waitFor(before + tasks.length);
  const whole = tasks.map((task, i) => pipeline.completed.get(task.id)! - sent[i]!);
  const rate = `at ${TASKS_PER_SECOND}/s`;
  return [
    { id: 'P2', what: `submission ${rate}, p50`, value: percentile(latencies, 0.5), unit: 'ms', target: { at: 'most', bound: 1.5 } },
    { id: 'P2', what: `submission ${rate}, p95`, value: percentile(latencies, 0.95), unit: 'ms', target: { at: 'most', bound: 3 } },
    { id: 'P2', what: `submission ${rate}, p99`, value: percentile(latencies, 0.99), unit: 'ms' },
    { id: 'P4', what: `submit to completed ${rate}, p50`, value: percentile(whole, 0.5), unit: 'ms', target: { at: 'most', bound: 4 } },
    { id: 'P4', what: `submit to completed ${rate}, p95`, value: percentile(whole, 0.95), unit: 'ms', target: { at: 'most', bound: 8 } },
  ];
};

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

/** Those of P1 to P4 that are in `wanted`, each load on the same warm process. */
export const benchPipeline = async (wanted: ReadonlySet<string>, size: PipelineSize): Promise<readonly Figure[]> => {
  const pipeline = await startPipeline();
  try {
    const figures: Figure[] = [];
    await drive(pipeline, tasksOf(WARM_UP), WARM_UP_CONNECTIONS);
    await sleep(500);
    if (wanted.has('P2') || wanted.has('P4')) figures.push(...(await atLowRate(pipeline, size)));
    if (wanted.has('P1')) figures.push(...(await throughput(pipeline, size)));
    if (wanted.has('P3')) figures.push(...(await statusQueries(pipeline, size)));
    if (wanted.has('P2')) figures.push(...(await atManyConnections(pipeline, size)));
    return figures.filter((figure) => wanted.has(figure.id));
  } finally {
    await pipeline.stop();
  }
};
