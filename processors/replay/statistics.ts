// What this history says about outcomes nobody recorded: how often such a call was answered and its answer accepted, what it took, how long.
//
// E1. Deterministic: a draw follows from task, attempt and question alone, so lanes that ask the same get the same. E2. The nearest group that has
// MIN_SAMPLES counts: the same model (or, where none is named, tier) at a first or at a later attempt; else whatever the attempt; else the whole history, and then
// the outcome is one of something unseen. E3. A sample is an outcome that is on record: what was only asked, or cut off, tells nothing.
import { createHash } from 'node:crypto';
import type { Breather } from './breather.js';
import { type AttemptRecord, isJudged, type TaskRecord } from './record.js';

export const MIN_SAMPLES = 5;

/** Of a group of attempts. Times in milliseconds. */
export interface Expectation {
  /** Outcomes, and verdicts on answers. */
  readonly samples: { readonly outcome: number; readonly verdict: number };
  /** Share of calls that were answered with files. */
  readonly answered: number;
  /** Share of judged answers that were accepted. */
  readonly accepted: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** From ready to the outcome. */
  readonly delayMs: number;
  /** From the outcome to its verdict. */
  readonly verdictMs: number;
  readonly model: string;
  readonly provider: string;
  readonly failure: string;
}

export interface Statistics {
  /** What is to be expected as the outcome of a call, or as the verdict on an answer. `seen`: of the model or tier itself (E2). */
  expect(
    what: 'outcome' | 'verdict',
    call: { readonly tier: string; readonly model: string | undefined; readonly attempt: number },
  ): {
    readonly expectation: Expectation;
    readonly seen: boolean;
  };
}

interface Group {
  calls: number;
  answers: number;
  judged: number;
  accepted: number;
  tokensIn: number;
  tokensOut: number;
  delayMs: number;
  verdicts: number;
  verdictMs: number;
  readonly models: Map<string, number>;
  readonly failures: Map<string, number>;
}

const newGroup = (): Group => ({
  calls: 0,
  answers: 0,
  judged: 0,
  accepted: 0,
  tokensIn: 0,
  tokensOut: 0,
  delayMs: 0,
  verdicts: 0,
  verdictMs: 0,
  models: new Map(),
  failures: new Map(),
});

const count = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
/** Of several the first by name. */
const mostOf = (map: ReadonlyMap<string, number>): string | undefined =>
  [...map].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0]?.[0];

const add = (group: Group, attempt: AttemptRecord): void => {
  const { outcome, verdict } = attempt;
  if (outcome === undefined) return;
  group.calls++;
  group.delayMs += Math.max(0, outcome.moment.at - attempt.readyMs);
  const { event } = outcome;
  if (event.type === 'dats.task.attempt.failed') return count(group.failures, event.data.error.code);
  if (event.type !== 'dats.task.output.created') return;
  group.answers++;
  group.tokensIn += event.data.tokens_in;
  group.tokensOut += event.data.tokens_out;
  count(group.models, JSON.stringify([event.data.model, event.data.provider]));
  if (verdict === undefined) return;
  group.verdicts++;
  group.verdictMs += Math.max(0, verdict.moment.at - outcome.moment.at);
  if (verdict.event.type === 'dats.task.attempt.failed') return;
  group.judged++;
  if (verdict.event.type === 'dats.task.validated') group.accepted++;
};

const share = (part: number, whole: number, none: number): number => (whole === 0 ? none : part / whole);

const expectationOf = (group: Group): Expectation => {
  const [model, provider] = JSON.parse(mostOf(group.models) ?? '["unknown","unknown"]') as [string, string];
  return {
    samples: { outcome: group.calls, verdict: group.judged },
    answered: share(group.answers, group.calls, 1),
    accepted: share(group.accepted, group.judged, 1),
    tokensIn: Math.round(share(group.tokensIn, group.answers, 0)),
    tokensOut: Math.round(share(group.tokensOut, group.answers, 0)),
    delayMs: Math.round(share(group.delayMs, group.calls, 0)),
    verdictMs: Math.round(share(group.verdictMs, group.verdicts, 0)),
    model,
    provider,
    failure: mostOf(group.failures) ?? 'model_error',
  };
};

const ofTier = (tier: string): string => JSON.stringify({ tier });
const ofModel = (model: string): string => JSON.stringify({ model });
const ofAttempt = (who: string, attempt: number): string => `${who} ${attempt === 1 ? 'first' : 'later'}`;

export const statisticsOf = async (tasks: Iterable<TaskRecord>, breather: Breather): Promise<Statistics> => {
  const groups = new Map<string, Group>([['all', newGroup()]]);
  const into = (key: string, attempt: AttemptRecord): void => {
    const group = groups.get(key) ?? newGroup();
    groups.set(key, group);
    add(group, attempt);
  };
  for (const task of tasks) {
    if (breather.isDue()) await breather.give();
    if (!isJudged(task)) continue;
    for (const attempt of task.attempts) {
      const output = attempt?.outcome?.event;
      if (output === undefined) continue;
      const model = output.type === 'dats.task.output.created' ? output.data.model : attempt.model;
      for (const who of model === undefined ? [ofTier(attempt.tier)] : [ofTier(attempt.tier), ofModel(model)]) {
        into(who, attempt);
        into(ofAttempt(who, attempt.attempt), attempt);
      }
      into('all', attempt);
    }
  }
  const expectations = new Map([...groups].map(([key, group]) => [key, expectationOf(group)]));
  return {
    expect(what, { tier, model, attempt }) {
      const who = model === undefined ? ofTier(tier) : ofModel(model);
      const own = [ofAttempt(who, attempt), who]
        .map((key) => expectations.get(key))
        .find((found) => found !== undefined && found.samples[what] >= MIN_SAMPLES);
      const any = own ?? expectations.get('all')!;
      return { seen: own !== undefined, expectation: model === undefined || any.model === model ? any : { ...any, model } };
    },
  };
};

/** A number from 0 up to before 1 that follows from the parts (E1). */
export const drawOf = (...parts: readonly (string | number)[]): number =>
  createHash('sha256').update(parts.join('\u001f')).digest().readUInt32BE(0) / 2 ** 32;
