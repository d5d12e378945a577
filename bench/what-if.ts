// X2: a project's history decided again under another routing rule, without a model: three lanes and their report, read from a log in memory.
import { performance } from 'node:perf_hooks';
import { type ArtifactStore, sha256Of } from '../processors/index.js';
import { type ReplayConfig, replayEffect } from '../processors/replay/index.js';
import {
  type DataOf,
  dataschemaOf,
  derivedId,
  type EventOf,
  type EventType,
  LIFECYCLE,
  replayReportSchema,
  serversSchema,
} from '../schemas/index.js';
import { outgoing } from '../streams/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import { decideHistory } from './decided-history.js';
import type { Figure } from './figure.js';

const PROJECT = 'p';
const REPLAY = 'bench';
/** How often a waiting timer is asked for, milliseconds; what it comes too late is how long the loop was kept. */
const PULSE_MS = 2;

const eventOf = <T extends EventType>(type: T, data: DataOf<T>): EventOf<T> =>
  ({
    specversion: '1.0',
    id: derivedId(type, REPLAY),
    source: '/bench',
    type,
    time: new Date(0).toISOString(),
    subject: REPLAY,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: PROJECT,
    correlationid: REPLAY,
    actor: 'bench',
    configversion: 'bench',
    data,
  }) as unknown as EventOf<T>;

const pulse = () => {
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - PULSE_MS);
    last = now;
  }, PULSE_MS);
  return () => {
    clearInterval(timer);
    return longest;
  };
};

/** @throws Error where the baseline is not what was recorded. */
export const benchWhatIf = async (tasks: number): Promise<readonly Figure[]> => {
  const { models, prices, scheduling } = serversSchema.parse({ version: 1, scheduling: { max_running_per_project: 200 } });
  const made = decideHistory(1, tasks, scheduling);
  const log = openMemoryLog({ partitions: 1 });
  for (const event of made.events) await log.append([outgoing(LIFECYCLE, event)]);
  const request: DataOf<'dats.replay.requested'> = {
    replay_id: REPLAY,
    grade: 'policy',
    slice: {},
    changes: { routing: [{ when: { tier: 'medium' }, tier: 'small' }], max_running: 100 },
    max_calls: 0,
    reason: 'bench',
    by: 'bench',
  };
  await log.append([outgoing(LIFECYCLE, eventOf('dats.replay.requested', request))]);
  const config: ReplayConfig = { routing: made.routing, scheduling, models, prices };
  const nobody = { name: 'nobody', kinds: [], run: () => Promise.reject(new Error('no model is called here')) };
  const effect = replayEffect({ log, config: () => config, generate: nobody, check: nobody });
  const work = eventOf('dats.work.requested', {
    task_id: REPLAY,
    kind: 'replay',
    attempt: 0,
    tier: 'small',
    domain: 'general',
    prompt_version: 'replay@1',
    context: { created: made.events.length, inputs: [] },
    due: new Date(0).toISOString(),
    replay_id: REPLAY,
  });
  const stored: string[] = [];
  const artifacts: ArtifactStore = {
    put: async (bytes) => sha256Of(stored[stored.push(Buffer.from(bytes).toString('utf8')) - 1]!),
    get: () => Promise.reject(new Error('nothing is read here')),
  };
  const context = { signal: new AbortController().signal, emit: async () => {} };
  const stop = pulse();
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const [completed] = await effect.run(work, { artifacts } as never, context as never);
  const ms = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  const keptMs = stop();
  await log.close();
  const { report } = (completed as { data: DataOf<'dats.replay.completed'> }).data;
  const told = replayReportSchema.parse(JSON.parse(report.content ?? stored[0]!));
  if (told.counters.baseline.diverged > 0) throw new Error(`${told.counters.baseline.diverged} tasks of the baseline are not as recorded`);
  const { submitted, events } = told.history;
  const changed = `${told.counters.candidate.diverged} tasks decided otherwise, ${told.estimates.outcomes} outcomes estimated`;
  return [
    {
      id: 'X2',
      what: `policy-only replay, ${submitted} tasks, ${events} events: reading, baseline, candidate, report`,
      value: ms / 1_000,
      unit: 's',
      target: { at: 'most', bound: 5 },
      note: `${changed}; ${Math.round((user + system) / 1_000)} ms of CPU, the log in memory`,
    },
    { id: 'X2', what: 'of it the longest that the event loop was kept', value: keptMs, unit: 'ms', target: { at: 'most', bound: 50 } },
  ];
};
