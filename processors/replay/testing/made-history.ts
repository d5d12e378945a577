// Histories made by the real deciders: tasks of every kind are submitted, work is answered late, wrongly, twice or never, deciders read in pieces and are away.
// They do not start anew: timers of the same 10 ms may fire in another order after that, which no log tells.
import { type DataOf, type DatsEvent, type EventOf, type Servers, serversSchema } from '../../../schemas/index.js';
import type { Recorded } from '../../../streams/index.js';
import { sha256Of } from '../../content.js';
import type { Decider } from '../../decider.js';
import { isoOf } from '../../iso-time.js';
import { fixed } from '../../policies.js';
import { ANSWER_LIMIT_MS, type RoutingOptions, routingDecider } from '../../routing/index.js';
import { schedulingDecider } from '../../scheduling/index.js';
import { analysis, creation, openWorld, output, type World } from '../../testing/pipeline-world.js';
import { openAgenda } from '../agenda.js';
import { openRandom, type Random } from './random.js';

export interface MadeOptions {
  readonly seed: number;
  readonly tasks: number;
  /** Share of things that go wrong, 0..1. */
  readonly trouble: number;
  readonly scheduling?: Partial<Servers['scheduling']>;
  /** How long an analysis or a plan may take, milliseconds. Default: ANSWER_LIMIT_MS, which is more than any takes here. */
  readonly answerLimitMs?: number;
  /** Milliseconds between submissions, on average. */
  readonly everyMs?: number;
  /** Is everything waited for? Default: true. */
  readonly finish?: boolean;
  readonly project?: string;
}

export interface MadeHistory {
  readonly project: string;
  readonly routing: RoutingOptions;
  readonly scheduling: Servers['scheduling'];
  readonly records: readonly Recorded[];
  /** When it ended, milliseconds since the epoch. */
  readonly endMs: number;
}

const START_MS = Date.parse('2026-03-01T08:00:00.000Z');
const DESCRIPTIONS = [
  'Write a function in Python that parses dates of the form 2026-01-31 and returns them sorted',
  'Fix the bug in src/report.ts: totals are wrong when a row is empty',
  'Document the public functions of the module in a README.md',
  'something with data',
  'Create a REST service with authentication, rate limits, a database with migrations, caching and concurrent workers, and deploy it with Docker',
  'Add tests for the slug function in src/slug.ts',
] as const;

const textOf = (content: string) => ({ sha256: sha256Of(content), bytes: Buffer.byteLength(content), content });

const created = (random: Random, id: string, before: readonly string[], trouble: number): DataOf<'dats.task.created'> => {
  const options: DataOf<'dats.task.created'>['options'] = {};
  if (random.chance(0.15)) options.decompose = true;
  if (random.chance(0.2)) options.qa_profile = random.pick(['none', 'syntax', 'tests']);
  if (random.chance(trouble / 4)) options.deadline = isoOf(START_MS + random.int(600_000));
  if (random.chance(trouble / 4)) options.max_attempts = 1 + random.int(3);
  if (random.chance(trouble / 4)) options.timeout_s = 2 + random.int(20);
  const tests = random.chance(0.3) ? { tests: { language: 'python' as const, code: textOf('assert True') } } : {};
  return creation(id, {
    description: textOf(random.pick(DESCRIPTIONS)),
    priority: random.pick(['low', 'normal', 'high', 'urgent']),
    options,
    depends_on: before.length > 0 && random.chance(0.15) ? [random.pick(before)] : [],
    ...tests,
  });
};

type Work = EventOf<'dats.work.requested'>;
type Sayings = (world: World) => void;

const decomposed = (random: Random, task_id: string): DataOf<'dats.task.decomposed'> => ({
  task_id,
  planner: { name: 'list', version: '1' },
  children: Array.from({ length: 1 + random.int(3) }, (_, n) => ({
    task_id: `${task_id}.${n}`,
    title: `step ${n}`,
    description: textOf(random.pick(DESCRIPTIONS)),
    depends_on: n > 0 && random.chance(0.5) ? [`${task_id}.${n - 1}`] : [],
  })),
});

/** What an effect says about its work. */
const outcome = (random: Random, { data }: Work, trouble: number, project: string): Sayings => {
  const { task_id, attempt, kind, qa_profile = 'syntax' } = data;
  const isBad = random.chance(trouble);
  const failed = (stage: DataOf<'dats.task.attempt.failed'>['stage'], code: string, retryable: boolean): Sayings => {
    const error = { code, message: `${code} ${random.int(9)}`, retryable };
    return (world) => world.append('dats.task.attempt.failed', { task_id, attempt, stage, error }, project);
  };
  if (kind === 'analyse') {
    if (isBad) return failed('analysis', 'model_error', true);
    const tier = random.pick(['small', 'medium', 'large'] as const);
    return (world) => world.append('dats.task.analyzed', { ...analysis(task_id, tier), complexity: random.next() }, project);
  }
  if (kind === 'decompose') {
    if (isBad) return failed('decomposition', 'no_plan', random.chance(0.7));
    const plan = decomposed(random, task_id);
    return (world) => world.append('dats.task.decomposed', plan, project);
  }
  if (kind === 'generate') {
    if (isBad && random.chance(0.4)) return failed('generation', random.pick(['model_error', 'answer_empty']), random.chance(0.9));
    const model = data.model ?? `${data.tier}-model`;
    const digest = sha256Of(`${task_id} ${attempt} ${random.int(3)}`);
    const said = {
      ...output(data),
      model,
      tokens_in: 200 + random.int(800),
      tokens_out: 50 + random.int(400),
      artifacts: output(data).artifacts.map((artifact) => ({ ...artifact, sha256: digest })),
      consumed: data.context.inputs,
    };
    return (world) => world.append('dats.task.output.created', said, project);
  }
  const rejects = isBad || random.chance(0.15);
  if (isBad && random.chance(0.2)) return failed('qa', 'checker_missing', random.chance(0.5));
  const detail = `line ${random.int(40)}`;
  const check = { name: 'syntax:python', status: rejects ? 'failed' : 'passed', detail, duration_ms: 1 } as const;
  const verdict = { task_id, attempt, profile: qa_profile, checks: [check], score: rejects ? 0 : 1 };
  const reasons = [`syntax:python: ${detail}`];
  return (world) =>
    rejects
      ? world.append('dats.task.rejected', { ...verdict, reasons, retryable: random.chance(0.95) }, project)
      : world.append('dats.task.validated', verdict, project);
};

const hasOpenTasks = (world: World): boolean => {
  for (const key of world.saved.keys()) if (key.startsWith('scheduling/t/')) return true;
  return false;
};

export const makeHistory = (options: MadeOptions): MadeHistory => {
  const { seed, tasks, trouble, everyMs = 400, finish = true, project = 'p', answerLimitMs = ANSWER_LIMIT_MS } = options;
  const random = openRandom(seed);
  const routing: RoutingOptions = { askModelBelow: 0.4, modelAvailable: true, answerLimitMs };
  const scheduling = {
    ...serversSchema.parse({ version: 1 }).scheduling,
    max_running_per_project: 4,
    timeout_s: 20,
    backoff_base_ms: 300,
    max_attempts: 3,
    ...options.scheduling,
  };
  const deciders = (): Decider[] => [routingDecider(fixed(routing)) as Decider, schedulingDecider(fixed(scheduling)) as Decider];
  const world = openWorld(deciders, START_MS);
  const agenda = openAgenda<Sayings>();
  let order = 0;
  const later = (at: number, say: Sayings): void => agenda.add({ at, order: order++ }, say);
  const ids: string[] = [];
  let answered = 0;

  let submitAt = START_MS;
  for (let n = 0; n < tasks; n++) {
    const id = `task-${n}`;
    submitAt += random.int(2 * everyMs);
    const data = created(random, id, ids.slice(-5), trouble);
    later(submitAt, () => world.append('dats.task.created', data, project));
    ids.push(id);
    if (!random.chance(trouble / 4)) continue;
    const cancel = { task_id: random.chance(0.3) ? `${id}.0` : id, reason: 'not needed', by: 'somebody' };
    later(submitAt + random.int(20_000), () => world.append('dats.task.cancel.requested', cancel, project));
  }
  const isOpen = (): boolean =>
    agenda.next() !== undefined || world.read < world.log.length || answered < world.work.length || hasOpenTasks(world);
  const enough = finish ? isOpen : () => world.now < submitAt;
  for (let turn = 0; turn < tasks * 2_000 && enough(); turn++) {
    const next = agenda.next()?.when.at ?? Number.POSITIVE_INFINITY;
    world.now = Math.max(world.now, Math.min(next, world.now + 20 + random.int(400)));
    for (let due = agenda.next(); due !== undefined && due.when.at <= world.now; due = agenda.next()) {
      agenda.take();
      due.what(world);
    }
    // Now and then the deciders are away, or read a part.
    if (random.chance(trouble / 3)) continue;
    world.step(random.chance(trouble) ? 1 + random.int(3) : undefined);
    for (; answered < world.work.length; answered++) {
      const work = world.work[answered]!;
      const isAttempt = work.data.attempt > 0;
      if (isAttempt && random.chance(trouble / 8)) continue;
      const tookMs = random.chance(trouble / 6) ? 15_000 + random.int(20_000) : 100 + random.int(3_000);
      const say = outcome(random, work, trouble, project);
      later(world.now + tookMs, say);
      if (random.chance(trouble / 8)) later(world.now + tookMs + random.int(3_000), say);
    }
  }
  return { project, routing, scheduling, records: world.log, endMs: world.now };
};

/** The event of a record. */
export const eventIn = ({ headers, value }: Recorded): DatsEvent =>
  ({ ...headers, data: JSON.parse(String(value)) }) as unknown as DatsEvent;
