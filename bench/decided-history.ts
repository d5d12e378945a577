// A project's lifecycle as the deciders themselves decide it, with answers drawn from a seed: rejected, failed and missing ones among them. In virtual time.
import { openFold, type Said } from '../processors/host/index.js';
import { type Decider, fixed, isoOf, sha256Of } from '../processors/index.js';
import { type RoutingOptions, routingDecider } from '../processors/routing/index.js';
import { type SchedulingPolicy, schedulingDecider } from '../processors/scheduling/index.js';
import {
  type DataOf,
  type DatsEvent,
  dataschemaOf,
  derivedId,
  type EventType,
  LIFECYCLE,
  PRIORITIES,
  type Work,
} from '../schemas/index.js';
import { openRandom, type Random } from './random.js';

export interface DecidedHistory {
  /** In the order of the log. */
  readonly events: readonly DatsEvent[];
  readonly routing: RoutingOptions;
  readonly scheduling: SchedulingPolicy;
}

const PROJECT = 'p';
const START_MS = Date.parse('2026-03-01T08:00:00.000Z');
/** Between two submissions. */
const EVERY_MS = 30;
const DESCRIPTIONS = [
  'Write a function in Python that parses dates of the form 2026-01-31 and returns them sorted',
  'Fix the bug in src/report.ts: totals are wrong when a row is empty',
  'Document the public functions of the module in a README.md',
  'Create a REST service with authentication, rate limits, a database with migrations, caching and concurrent workers, and deploy it with Docker',
] as const;
const FAILED = 0.05;
const REJECTED = 0.15;
const SILENT = 0.01;

/** An event of somebody else than the deciders. */
const said = <T extends EventType>(type: T, data: DataOf<T>, now: number, serial: number): DatsEvent =>
  ({
    specversion: '1.0',
    id: derivedId('decided', serial),
    source: '/bench',
    type,
    time: isoOf(now),
    subject: (data as { task_id: string }).task_id,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: PROJECT,
    correlationid: 'bench',
    actor: 'bench',
    configversion: 'bench',
    data,
  }) as unknown as DatsEvent;

type Saying = { [T in EventType]: { readonly type: T; readonly data: DataOf<T> } }[EventType];
const say = <T extends EventType>(type: T, data: DataOf<T>): Saying => ({ type, data }) as unknown as Saying;

const contentOf = (content: string) => ({ sha256: sha256Of(content), bytes: Buffer.byteLength(content), content });

const creation = (random: Random, task_id: string): Saying =>
  say('dats.task.created', {
    task_id,
    description: contentOf(random.pick(DESCRIPTIONS)),
    priority: random.pick(PRIORITIES),
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: 'bench',
  });

const output = (random: Random, { task_id, attempt, tier, context }: Work): Saying =>
  say('dats.task.output.created', {
    task_id,
    attempt,
    artifacts: [
      {
        ...contentOf(`def f():\n    return "${random.hex(400)}"\n`),
        artifact_id: derivedId(task_id, attempt),
        type: 'python',
        path: 'f.py',
      },
    ],
    model: `${tier}-model`,
    provider: 'bench',
    scripted: true,
    tokens_in: 200 + random.int(800),
    tokens_out: 50 + random.int(400),
    duration_ms: 500,
    prompt_version: 'generate@1',
    prompt_sha256: random.hex(64),
    sampling: { temperature: 0, seed: attempt },
    consumed: context.inputs,
    omitted: [],
    fence: '1',
  });

/** What comes of a work item. */
const answer = (random: Random, work: Work): Saying => {
  const { task_id, attempt, kind } = work;
  const error = { code: 'model_error', message: 'the server answered 500', retryable: true };
  if (kind === 'generate')
    return random.next() < FAILED
      ? say('dats.task.attempt.failed', { task_id, attempt, stage: 'generation', error })
      : output(random, work);
  const verdict = { task_id, attempt, profile: 'syntax' as const, checks: [], score: 1 };
  if (random.next() >= REJECTED) return say('dats.task.validated', verdict);
  return say('dats.task.rejected', { ...verdict, score: 0, reasons: [`syntax:python: line ${random.int(40)}`], retryable: true });
};

/** `tasks` are submitted; ends when all of them have ended. */
export const decideHistory = (seed: number, tasks: number, scheduling: SchedulingPolicy): DecidedHistory => {
  const random = openRandom(seed);
  const routing: RoutingOptions = { askModelBelow: 0, modelAvailable: false };
  let now = START_MS;
  const deciders = [routingDecider(fixed(routing)) as Decider, schedulingDecider(fixed(scheduling)) as Decider];
  const fold = openFold(deciders, [], { source: '/deciders/bench', configVersion: () => 'bench', now: () => now });
  const events: DatsEvent[] = [];
  const calendar = new Map<number, Saying[]>();
  let open = tasks;

  const later = (afterMs: number, saying: Saying): void => {
    const day = calendar.get(now + afterMs);
    if (day === undefined) calendar.set(now + afterMs, [saying]);
    else day.push(saying);
  };
  const heard = (all: readonly Said[]): void => {
    for (const { topic, event } of all) {
      if (topic === LIFECYCLE) events.push(event);
      else if (event.type === 'dats.work.requested' && random.next() >= SILENT) later(100 + random.int(3_000), answer(random, event.data));
      if (event.type === 'dats.task.completed' || event.type === 'dats.task.failed') open--;
    }
  };

  for (let n = 0; n < tasks; n++) later(n * EVERY_MS, creation(random, `task-${n}`));
  for (; open > 0; now++) {
    for (const { type, data } of calendar.get(now) ?? []) {
      const event = said(type, data as never, now, events.length);
      events.push(event);
      heard(fold.take(event, events.length - 1));
    }
    calendar.delete(now);
    const due = fold.nextDue();
    if (due !== undefined && due <= now) heard(fold.tick(now, events.length - 1));
  }
  return { events, routing, scheduling };
};
