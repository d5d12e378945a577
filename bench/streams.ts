// P11, event streams: how old an event is when a client has it, and how soon a stream that is opened gives its first event.
//
// An event bears the time at which it was made, in whole milliseconds, before it was appended and synced: so these ages are upper bounds of
// "append to receipt", by the sync and by up to one millisecond.
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from './completions.js';
import { EventStream } from './event-stream.js';
import type { Figure } from './figure.js';
import { benchTask, driveClosed, driveOpen } from './load.js';
import { type PipelineProcess, startPipeline } from './pipeline-process.js';
import { percentile } from './statistics.js';

const PROJECTS = 20;
const TASKS_PER_SECOND = 20;
const MANY = 1_000;
const FIRST_EVENTS = 100;
/** What the last events may take after the last task was completed. */
const SETTLE_MS = 300;
const WARM_UP = 500;

/** Ages of all events that `count` streams receive over all projects while tasks come at the fixed rate. */
const agesWith = async (pipeline: PipelineProcess, count: number, seconds: number): Promise<readonly number[]> => {
  const ages: number[] = [];
  const streams: EventStream[] = [];
  for (let i = 0; i < count; i++)
    streams.push(await EventStream.open(pipeline.port, `/api/v1/projects/project-${i % PROJECTS}/events`, (age) => ages.push(age)));
  const before = pipeline.completed.size;
  const tasks = Array.from({ length: seconds * TASKS_PER_SECOND }, (_, i) => benchTask(i));
  await driveOpen(
    pipeline.port,
    tasks.map((task) => task.request),
    TASKS_PER_SECOND,
  );
  await pipeline.waitFor(before + tasks.length);
  await sleep(SETTLE_MS);
  for (const stream of streams) stream.close();
  return ages;
};

/** From opening a finished task's stream to its first event, in milliseconds. */
const firstEvents = async (pipeline: PipelineProcess, ids: readonly string[]): Promise<readonly number[]> => {
  const times: number[] = [];
  for (const id of ids.slice(0, FIRST_EVENTS)) {
    const begin = monotonicMs();
    let stream: EventStream | undefined;
    await new Promise<void>((resolve, reject) => {
      const opened = EventStream.open(pipeline.port, `/api/v1/tasks/${id}/events`, () => {
        if (stream === undefined) times.push(monotonicMs() - begin);
        resolve();
      });
      opened.catch(reject);
      void opened.then((open) => {
        stream = open;
      });
    });
    stream?.close();
  }
  return times;
};

export const benchStreams = async (seconds: number): Promise<readonly Figure[]> => {
  const pipeline = await startPipeline();
  try {
    const { replies } = await driveClosed(
      pipeline.port,
      Array.from({ length: WARM_UP }, (_, i) => benchTask(i).request),
      8,
    );
    await pipeline.waitFor(WARM_UP);
    const first = await firstEvents(
      pipeline,
      replies.map((reply) => (JSON.parse(reply.body) as { task_id: string }).task_id),
    );
    const few = await agesWith(pipeline, 1, seconds);
    const many = await agesWith(pipeline, MANY, seconds);
    const what = `age of events at receipt, ${TASKS_PER_SECOND} tasks/s`;
    const target = { at: 'most', bound: 20 } as const;
    return [
      { id: 'P11', what: 'first event of an opened stream, p95', value: percentile(first, 0.95), unit: 'ms', target },
      { id: 'P11', what: `${what}, 1 stream, p95`, value: percentile(few, 0.95), unit: 'ms', target, note: `${few.length} events` },
      {
        id: 'P11',
        what: `${what}, ${MANY} streams, p95`,
        value: percentile(many, 0.95),
        unit: 'ms',
        target,
        note: `${many.length} events`,
      },
    ];
  } finally {
    await pipeline.stop();
  }
};
