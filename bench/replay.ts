// P6, replay: a log that the real pipeline wrote, then every state and every view rebuilt from it, in a process that has not seen the log.
//
// R1. The rebuilt states are compared with the saved ones, and the rebuilt tasks are counted: a fast wrong replay is an error, not a figure.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadLettersOf, openFold, rebuildPartition } from '../processors/host/index.js';
import { fixed, materialise, VIEW } from '../processors/index.js';
import { routingDecider } from '../processors/routing/index.js';
import { schedulingDecider } from '../processors/scheduling/index.js';
import { LIFECYCLE, type Servers } from '../schemas/index.js';
import type { Log, ViewStore } from '../streams/index.js';
import { type LmdbStorage, openLmdbStorage } from '../streams/lmdb/index.js';
import { benchConfiguration } from './bench-node.js';
import type { Figure } from './figure.js';
import { benchTask, driveClosed } from './load.js';
import { startPipeline } from './pipeline-process.js';
import { freshDir, removeDir } from './places.js';

/** The group whose states are rebuilt, as nodes/start.ts names it. */
const GROUP = 'core';
const SOURCE = `/deciders/${GROUP}`;
const CONNECTIONS = 64;
const LOOK_MS = 5;

const fillLog = async (dir: string, tasks: number): Promise<void> => {
  const pipeline = await startPipeline({ dir });
  try {
    await driveClosed(
      pipeline.port,
      Array.from({ length: tasks }, (_, i) => benchTask(i).request),
      CONNECTIONS,
    );
    await pipeline.waitFor(tasks);
  } finally {
    await pipeline.stop();
  }
};

const deciders = (config: Servers) =>
  [
    routingDecider(fixed({ askModelBelow: config.routing.ask_model_below, modelAvailable: false })),
    schedulingDecider(fixed(config.scheduling)),
  ] as never;

interface Rebuilt {
  readonly events: number;
  readonly ms: number;
  /** By partition. */
  readonly states: readonly ReadonlyMap<string, string | null>[];
}

const rebuildStates = async (log: Log, config: Servers): Promise<Rebuilt> => {
  const lags = await log.lag(GROUP, [LIFECYCLE]);
  const states: ReadonlyMap<string, string | null>[] = [];
  let events = 0;
  const never = new AbortController().signal;
  const begin = performance.now();
  const deadLetters = await deadLettersOf(log, GROUP, LIFECYCLE, never);
  for (const { partition, committed, end } of lags) {
    const fold = openFold(deciders(config), [], { source: SOURCE, configVersion: () => 'bench', now: Date.now });
    const from = { source: SOURCE, deadLetters: deadLetters?.(partition), committed, end };
    events += await rebuildPartition(log, fold, { topic: LIFECYCLE, partition }, from, never);
    states[partition] = fold.changes();
  }
  return { events, ms: performance.now() - begin, states };
};

/** @throws Error when a rebuilt state is not what the pipeline saved. */
const compareWithSaved = async (log: Log, rebuilt: Rebuilt): Promise<number> => {
  let compared = 0;
  const seen: Promise<void>[] = [];
  const membership = await log.join(GROUP, [LIFECYCLE], async (assignment) => {
    const compare = async (): Promise<void> => {
      const expected = new Map([...rebuilt.states[assignment.partition]!].filter(([, value]) => value !== null));
      for await (const [key, bytes] of assignment.states()) {
        if (expected.get(key) !== Buffer.from(bytes).toString('utf8'))
          throw new Error(`partition ${assignment.partition}: the rebuilt state "${key}" is not the saved one`);
        expected.delete(key);
        compared++;
      }
      if (expected.size > 0) throw new Error(`partition ${assignment.partition}: ${expected.size} rebuilt states were never saved`);
    };
    const done = compare();
    seen.push(done);
    await done;
  });
  while (seen.length < log.partitions(LIFECYCLE)) await sleep(LOOK_MS);
  await Promise.all(seen);
  await membership.leave();
  return compared;
};

const rebuildViews = async ({ log, views }: LmdbStorage): Promise<number> => {
  await views.clear();
  const ends = await Promise.all(Array.from({ length: log.partitions(LIFECYCLE) }, async (_, i) => (await log.range(LIFECYCLE, i)).end));
  const behind = async (): Promise<boolean> => {
    for (const [partition, end] of ends.entries()) if ((await views.checkpoint(VIEW, partition)) < end) return true;
    return false;
  };
  const begin = performance.now();
  const membership = await log.join('bench-views', [LIFECYCLE], (assignment) => materialise(assignment, { log, views }));
  while (await behind()) await Promise.race([sleep(LOOK_MS), membership.done]);
  const ms = performance.now() - begin;
  await membership.leave();
  return ms;
};

const countTasks = async (views: ViewStore): Promise<number> => {
  let count = 0;
  for (let i = 0; i < 20; i++) count += (await views.get<{ doc: { total: number } }>('project', `project-${i}`))?.doc.total ?? 0;
  return count;
};

/** `tasks` is how many the log is to hold: about nine events each. */
export const benchReplay = async (tasks: number): Promise<readonly Figure[]> => {
  const dir = await freshDir('replay');
  try {
    await fillLog(dir, tasks);
    const { config } = await benchConfiguration({ dir, port: 0 });
    const storage = await openLmdbStorage({ dir: join(config.node.data_dir, 'log'), node: 'bench', partitions: config.log.partitions });
    try {
      const rebuilt = await rebuildStates(storage.log, config);
      const compared = await compareWithSaved(storage.log, rebuilt);
      const viewsMs = await rebuildViews(storage);
      const counted = await countTasks(storage.views);
      if (counted !== tasks) throw new Error(`the rebuilt views hold ${counted} tasks, ${tasks} were submitted`);
      const rate = (ms: number): number => (rebuilt.events / ms) * 1_000;
      const target = { at: 'least', bound: 200_000 } as const;
      const log = `${rebuilt.events} events of ${tasks} tasks`;
      return [
        { id: 'P6', what: `rebuild states and views, ${log}`, value: rate(rebuilt.ms + viewsMs), unit: 'events/s', target },
        {
          id: 'P6',
          what: 'of it the states',
          value: rate(rebuilt.ms),
          unit: 'events/s',
          note: `${compared} states equal to the saved ones`,
        },
        { id: 'P6', what: 'of it the views', value: rate(viewsMs), unit: 'events/s', note: `durable, ${counted} tasks` },
      ];
    } finally {
      await storage.close();
    }
  } finally {
    await removeDir(dir);
  }
};
