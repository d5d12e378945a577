// What a lane's work items are answered with: the recorded outcome where the call is the same, else an estimate, or what `live` makes of it.
//
// O1. Nothing is asked here; `live` alone may. O2. What is served comes as long after its call as it did then. O3. Work of tasks that had not ended is never
// counted: it is answered as far as the record goes. O4. An outcome that was cut off (a timeout, a cancel) is silence for as long as it was waited for; who waits longer gets an estimate.
// O5. Answers to another prompt, and verdicts of another profile, are nothing that this history has seen.
import type { DatsEvent, EventOf, ReplayChanges, ReplayCounters, Work } from '../../schemas/index.js';
import { type Draft, say } from '../draft.js';
import { stamp } from '../host/stamp.js';
import { isoOf } from '../iso-time.js';
import { profileOf } from '../qa/profile.js';
import { checksOf, inputsOf, isSameCall } from './call.js';
import { failureDraft, outputDraft, verdictDraft } from './estimate.js';
import { type AttemptRecord, isJudged, type Moment, type Said, type TaskRecord } from './record.js';
import type { AttemptRun } from './runs.js';
import { drawOf, type Statistics } from './statistics.js';

export type WorkEvent = EventOf<'dats.work.requested'>;
type Verdict = EventOf<'dats.task.validated' | 'dats.task.rejected'>;

export interface Made {
  readonly draft: Draft;
  /** Milliseconds. */
  readonly tookMs: number;
}

/** Makes a call that nobody recorded. Undefined: it may not, which is known at once or only when it was asked for. */
export interface Live {
  /** Is all of it known that it is made from? An output that was estimated has no contents. */
  canMake(work: WorkEvent): boolean;
  generate(work: WorkEvent): Promise<Made | undefined> | undefined;
  check(work: WorkEvent): Promise<Made>;
}

export interface OracleOptions {
  readonly tasks: ReadonlyMap<string, TaskRecord>;
  readonly statistics: Statistics;
  readonly changes: ReplayChanges;
  readonly live: Live | undefined;
  /** The attempt under way of a task in the lane. */
  readonly attemptOf: (taskId: string) => AttemptRun | undefined;
  /** Why the last attempt of a task was refused in the lane. */
  readonly previousOf: (taskId: string) => string | undefined;
  /** The output that an attempt is judged by, in the lane. */
  readonly outputOf: (taskId: string) => DatsEvent | undefined;
  /** Has an event come at a moment of the lane; `make` is called then, and may find that it comes no more. */
  readonly plan: (when: Moment, make: () => DatsEvent | undefined) => void;
  /** Nothing later happens in the lane before it is settled. */
  readonly await: (answer: Promise<void>) => void;
}

export interface Oracle {
  /** Plans what comes of a work item that is asked for at `now`. */
  answer(work: WorkEvent, now: number): void;
  readonly counters: Omit<ReplayCounters, 'diverged'>;
  readonly estimates: { readonly outcomes: number; readonly unseen: number };
}

/** Estimates come after what is recorded for the same instant, in the order in which they were asked for. */
const ESTIMATED = 2 ** 50;

export const openOracle = (options: OracleOptions): Oracle => {
  const { tasks, statistics, changes, live, attemptOf, plan } = options;
  const counters = { served: 0, missed: 0, blocked: 0 };
  const estimates = { outcomes: 0, unseen: 0 };
  let estimated = ESTIMATED;

  const isCounted = (work: WorkEvent): boolean => isJudged(tasks.get(work.data.task_id)) || !tasks.has(work.data.task_id);
  const countIn = (what: keyof typeof counters, work: WorkEvent, by = 1): void => {
    if (isCounted(work)) counters[what] += by;
  };

  const eventOf = (draft: Draft, work: WorkEvent, at: number): DatsEvent =>
    stamp(draft, { source: '/replay', actor: 'replay', configversion: work.configversion, time: isoOf(at), cause: work });

  /** O2. `asked`: when the call was made that it answers. */
  const serve = ({ event, time, moment }: Said, asked: number, now: number): void => {
    const shift = now - asked;
    const at = Math.max(now, moment.at + shift);
    plan({ at, order: moment.order }, () => (shift === 0 ? event : { ...event, time: isoOf(time + shift) }));
  };

  const later = (at: number, make: () => DatsEvent | undefined): void => plan({ at, order: estimated++ }, make);

  const mark = (work: WorkEvent, seen: boolean): void => {
    const run = attemptOf(work.data.task_id);
    if (run !== undefined) run.estimated = true;
    if (!isCounted(work)) return;
    estimates.outcomes++;
    if (!seen) estimates.unseen++;
  };

  const estimateOutcome = (work: WorkEvent, at: number): DatsEvent => {
    const { task_id, attempt } = work.data;
    const { expectation, seen } = statistics.expect('outcome', { tier: work.data.tier, model: work.data.model, attempt });
    mark(work, seen && changes.prompt === undefined);
    const isAnswered = drawOf(task_id, attempt, 'answered') < expectation.answered;
    const draft = isAnswered ? outputDraft(work, expectation, tasks.get(task_id)) : failureDraft(work, expectation);
    return eventOf(draft, work, at);
  };

  const estimateVerdict = (work: WorkEvent, at: number): DatsEvent => {
    const { task_id, tier, attempt, qa_profile = 'syntax' } = work.data;
    const { expectation, seen } = statistics.expect('verdict', { tier, model: attemptOf(task_id)?.model, attempt });
    const task = tasks.get(task_id);
    const isOfRecord = task === undefined || profileOf(task.created.data) === qa_profile;
    mark(work, seen && isOfRecord && changes.prompt === undefined);
    return eventOf(verdictDraft(work, drawOf(task_id, attempt, 'accepted') < expectation.accepted), work, at);
  };

  /** O4. `waited`: for so long there was silence. */
  const silence = (work: WorkEvent, now: number, waited: number, expected: number, estimate: typeof estimateOutcome): void => {
    countIn('served', work);
    const at = now + Math.max(waited + 1, expected);
    later(at, () => {
      const run = attemptOf(work.data.task_id);
      const isAwaited =
        run?.attempt === work.data.attempt && run.result === 'open' && (work.data.kind === 'check') === (run.artifacts !== undefined);
      if (!isAwaited) return undefined;
      countIn('served', work, -1);
      countIn('missed', work);
      return estimate(work, at);
    });
  };

  const awaitLive = (work: WorkEvent, now: number, call: Promise<Made | undefined>, refused: () => void = () => {}): void => {
    const order = estimated++;
    options.await(
      call.then((made) => {
        if (made === undefined) return refused();
        const at = now + Math.round(made.tookMs);
        plan({ at, order }, () => eventOf(made.draft, work, at));
      }),
    );
  };

  const estimateLater = (work: WorkEvent, now: number): void => {
    const { tier, model, attempt } = work.data;
    const at = now + statistics.expect('outcome', { tier, model, attempt }).expectation.delayMs;
    later(at, () => estimateOutcome(work, at));
  };

  const missedOutcome = (work: WorkEvent, now: number): void => {
    const canAsk = live !== undefined && isCounted(work) && live.canMake(work);
    const call = canAsk ? live.generate(work) : undefined;
    countIn(canAsk && call === undefined ? 'blocked' : 'missed', work);
    if (call === undefined) return estimateLater(work, now);
    awaitLive(work, now, call, () => {
      countIn('missed', work, -1);
      countIn('blocked', work);
      estimateLater(work, now);
    });
  };

  const generate = (work: WorkEvent, now: number): void => {
    const { task_id, attempt, tier, model, prompt_version, context } = work.data;
    const task = tasks.get(task_id);
    const record = task?.attempts[attempt - 1];
    const call = { tier, model, prompt_version, inputs: inputsOf(context), previous: options.previousOf(task_id) };
    if (changes.prompt !== undefined || record === undefined || !isSameCall(record, call)) return missedOutcome(work, now);
    if (record.outcome !== undefined) {
      countIn('served', work);
      return serve(record.outcome, record.readyMs, now);
    }
    if (!isJudged(task)) return;
    const expected = statistics.expect('outcome', { tier, model, attempt }).expectation.delayMs;
    silence(work, now, (record.endedMs ?? record.readyMs) - record.readyMs, expected, estimateOutcome);
  };

  const missedVerdict = (work: WorkEvent, now: number): void => {
    const { task_id, tier, attempt } = work.data;
    countIn('missed', work);
    const isReal = live !== undefined && isCounted(work) && attemptOf(task_id)?.estimated !== true;
    if (isReal) return awaitLive(work, now, live.check(work));
    const at = now + statistics.expect('verdict', { tier, model: attemptOf(task_id)?.model, attempt }).expectation.verdictMs;
    later(at, () => estimateVerdict(work, at));
  };

  const check = (work: WorkEvent, now: number): void => {
    const { task_id, attempt, qa_profile = 'syntax' } = work.data;
    const task = tasks.get(task_id);
    const record = task?.attempts[attempt - 1];
    const isRecorded = record?.outcome !== undefined && isOf(record.outcome.event, options.outputOf(task_id));
    if (task === undefined || !isRecorded) return missedVerdict(work, now);
    const verdict = verdictFor(record, task, qa_profile);
    if (verdict !== undefined) {
      countIn('served', work);
      return serve(verdict, record.outcome!.moment.at, now);
    }
    if (record.verdict !== undefined || profileOf(task.created.data) !== qa_profile) return missedVerdict(work, now);
    if (!isJudged(task)) return;
    const waited = (record.endedMs ?? now) - record.outcome!.moment.at;
    silence(
      work,
      now,
      waited,
      statistics.expect('verdict', { tier: work.data.tier, model: undefined, attempt }).expectation.verdictMs,
      estimateVerdict,
    );
  };

  const analyse = (work: WorkEvent, now: number): void => {
    const task = tasks.get(work.data.task_id);
    const analysed = task?.analysed ?? (task?.analysedAtOnce ? reanalysed(task, work, now) : undefined);
    if (task === undefined || analysed === undefined) return;
    countIn('served', work);
    serve(analysed, analysed === task.analysed ? task.creation.moment.at : now, now);
  };

  /** Decided by the cheap signals then: that is what a model is taken to say now. */
  const reanalysed = (task: TaskRecord, work: WorkEvent, now: number): Said => {
    const event = eventOf(say('dats.task.analyzed', task.id, { task_id: task.id, ...task.analysis! }), work, now);
    return { event, offset: -1, time: now, moment: { at: now, order: estimated++ } };
  };

  const asked = new Map<string, number>();
  const decompose = (work: WorkEvent, now: number): void => {
    const { task_id } = work.data;
    const ask = asked.get(task_id) ?? 0;
    asked.set(task_id, ask + 1);
    const task = tasks.get(task_id);
    for (const { said } of task?.plans.filter((plan) => plan.ask === ask) ?? []) {
      countIn('served', work);
      serve(said, task!.planAsks[ask]!(), now);
    }
  };

  const KINDS: Partial<Record<Work['kind'], (work: WorkEvent, now: number) => void>> = { generate, check, analyse, decompose };
  return {
    counters,
    estimates,
    // Work of other kinds repairs what was made; a lane makes nothing.
    answer: (work, now) => KINDS[work.data.kind]?.(work, now),
  };
};

const isOf = (recorded: DatsEvent, output: DatsEvent | undefined): boolean => recorded.id === output?.id;

/** The recorded verdict as another profile would have given it, where that follows: the syntax is a part of the tests. */
const verdictFor = ({ verdict }: AttemptRecord, task: TaskRecord, profile: NonNullable<Work['qa_profile']>): Said | undefined => {
  if (verdict === undefined || verdict.event.type === 'dats.task.attempt.failed')
    return profileOf(task.created.data) === profile ? verdict : undefined;
  const event = verdict.event as Verdict;
  if (event.data.profile === profile) return verdict;
  if (profile === 'tests' && task.created.data.tests === undefined && event.data.profile === 'syntax') return verdict;
  if (profile !== 'syntax' || event.data.profile !== 'tests') return undefined;
  const checks = checksOf(event).filter(({ name }) => name.startsWith('syntax'));
  const failed = checks.filter(({ status }) => status === 'failed');
  const { task_id, attempt } = event.data;
  const data = { task_id, attempt, profile, checks, score: failed.length === 0 ? 1 : 0 };
  const reasons = failed.map(({ name, detail = 'failed' }) => `${name}: ${detail}`);
  const derived =
    failed.length === 0
      ? { ...event, type: 'dats.task.validated' as const, data }
      : {
          ...event,
          type: 'dats.task.rejected' as const,
          data: { ...data, reasons, retryable: !('retryable' in event.data) || event.data.retryable },
        };
  return { ...verdict, event: derived as DatsEvent };
};
