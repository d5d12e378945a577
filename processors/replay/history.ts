// The fold of a project's events for replaying them: who said what when, and when the deciders took it in.
//
// H1. Events count in the order in which the deciders folded them: by (`afteroffset`, offset), not as they lie in the log. An event's moment never comes before
// that of an earlier one. What the deciders answered tells when they took it in; what they did not answer lies between the neighbours that are known. H2. What was due and not fired tells when the deciders
// were away: a lane fires nothing then either. H3. Nothing here is changed after `finish`. H4. Of tasks that cannot be chosen only the moments are kept.
import { type DatsEvent, type EventOf, Fault } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import type { SchedulingPolicy } from '../scheduling/index.js';
import { timeoutMs } from '../scheduling/policy.js';
import { TIMER_RESOLUTION_MS } from '../timers.js';
import type { Breather } from './breather.js';
import { inputsOf, reasonOf } from './call.js';
import { type Anchor, settleMoments } from './moments.js';
import type { AttemptRecord, History, Moment, Said, Stretch, TaskRecord } from './record.js';
import { openRuns, type Runs } from './runs.js';
import { type Choice, choose, openSieve } from './slice.js';
import { textBytes } from './text-bytes.js';

const WAITING_DROPPED = 1_024;
/** What is kept at most: tasks, and bytes of what people and models wrote in them. */
export const REPLAY_LIMITS = { tasks: 200_000, bytes: 256 * 1024 * 1024 };

export interface HistoryOptions {
  readonly choice: Choice;
  /** Project id of the lanes. */
  readonly shadow: string;
  readonly policy: SchedulingPolicy;
  /** How long an analysis or a plan may take, milliseconds. */
  readonly answerLimitMs: number;
  readonly limits?: typeof REPLAY_LIMITS;
}

export interface HistoryFold {
  /** @throws Fault terminal `replay_too_large`. */
  take(event: DatsEvent, offset: number): void;
  /** The tasks that are chosen. `runs`: how they went. */
  finish(breather: Breather): Promise<{ readonly history: History; readonly runs: Runs }>;
}

/** When something is due, and since when that is known. */
interface Wait {
  readonly due: number;
  readonly since: Moment;
  /** Routing's: its timers are not rounded. */
  readonly exact?: true;
}

/** What a task waits for. */
interface Waits {
  readonly record: TaskRecord;
  stage?: Wait | undefined;
  deadline?: Wait | undefined;
  routing?: Wait | undefined;
  reason?: string;
}

export const openHistory = ({ choice, shadow, policy, answerLimitMs, limits = REPLAY_LIMITS }: HistoryOptions): HistoryFold => {
  const keeps = openSieve(choice);
  const tasks = new Map<string, Waits>();
  const runs = openRuns();
  const anchors: Anchor[] = [];
  const unsettled: Pick<Said, 'offset' | 'time' | 'moment'>[] = [];
  const waited: (Wait & { readonly until: Moment })[] = [];
  const ticked = new Set<string>();
  let events = 0;
  let bytes = 0;

  const stageOf = (said: Said, options: TaskRecord['created']['data']['options']): Wait => ({
    due: said.time + timeoutMs(policy, options),
    since: said.moment,
  });
  const answerTo = (said: Said): Wait => ({ due: said.time + answerLimitMs, since: said.moment, exact: true });

  const resolve = (wait: Wait | undefined, until: Moment): undefined => {
    if (wait !== undefined) waited.push({ ...wait, until });
    return undefined;
  };

  /** When the deciders said it, and after which record. A timer's decision has no cause, or one that a timer decided. */
  const ownMoment = (event: DatsEvent, time: number): Moment => {
    const after = Number(event.afteroffset);
    const byTimer = event.causationid === undefined || ticked.has(event.causationid);
    if (byTimer) ticked.add(event.id);
    anchors.push({ offset: byTimer ? after + 0.5 : after, at: time });
    return { at: time, order: after };
  };

  const created = (event: EventOf<'dats.task.created'>, said: Said, own: boolean): void => {
    const { task_id: id, options } = event.data;
    const record: TaskRecord = {
      id,
      created: event,
      creation: said,
      planned: own && event.data.parent_id !== undefined,
      plans: [],
      planAsks: [],
      attempts: [],
      inherited: [],
      cancels: [],
    };
    const waits: Waits = { record, stage: stageOf(said, options), routing: answerTo(said) };
    if (options.deadline !== undefined) waits.deadline = { due: Date.parse(options.deadline), since: said.moment };
    tasks.set(id, waits);
  };

  const analysed = (waits: Waits, event: EventOf<'dats.task.analyzed'>, said: Said, own: boolean): void => {
    const { record } = waits;
    if (record.analysis !== undefined) return;
    record.analysis = event.data;
    if (!own) record.analysed = said;
    record.analysedAtOnce = own && said.moment.order === record.creation.moment.order && said.time < record.creation.time + answerLimitMs;
    waits.routing = resolve(waits.routing, said.moment);
    const { options } = record.created.data;
    // As in scheduling: a task whose analysis took longer than the task had has its time anew.
    if (waits.stage !== undefined && waits.stage.due <= said.time) {
      resolve(waits.stage, said.moment);
      waits.stage = stageOf(said, options);
    }
    if (options.decompose !== true || record.created.data.parent_id !== undefined) return;
    record.planAsks.push(() => said.moment.at);
    waits.routing = answerTo(said);
  };

  const unplanned = (waits: Waits, event: EventOf<'dats.task.attempt.failed'>, said: Said, own: boolean): void => {
    const { record } = waits;
    if (!own) record.plans.push({ said, ask: record.planAsks.length - 1 });
    waits.routing = resolve(waits.routing, said.moment);
    if (!event.data.error.retryable || record.planAsks.length !== 1) return;
    record.planAsks.push(() => said.moment.at);
    waits.routing = answerTo(said);
  };

  const failed = (waits: Waits, event: EventOf<'dats.task.attempt.failed'>, said: Said, own: boolean): void => {
    const { stage, attempt } = event.data;
    const { record } = waits;
    if (stage === 'decomposition') unplanned(waits, event, said, own);
    else if (stage === 'analysis') record.analysed ??= said;
    else if (stage === 'generation') answer(record.attempts[attempt - 1], 'outcome', said);
    else if (record.status === undefined) answer(record.attempts[attempt - 1], 'verdict', said);
  };

  const answer = (attempt: AttemptRecord | undefined, what: 'outcome' | 'verdict', said: Said): void => {
    if (attempt !== undefined) attempt[what] ??= said;
  };

  const ready = (waits: Waits, { data }: EventOf<'dats.task.ready'>, said: Said): void => {
    resolve(waits.stage, said.moment);
    waits.stage = { due: millisOf(data.due), since: said.moment };
    if (data.attempt === 1) waits.record.inherited = data.context.inputs;
    waits.record.attempts[data.attempt - 1] = {
      attempt: data.attempt,
      tier: data.tier,
      model: data.model,
      promptVersion: data.prompt_version,
      readyMs: said.time,
      inputs: inputsOf(data.context),
      previous: waits.reason,
    };
  };

  const over = (waits: Waits, said: Said): void => {
    const last = waits.record.attempts.at(-1);
    if (last !== undefined) last.endedMs ??= said.time;
    waits.stage = resolve(waits.stage, said.moment);
  };

  const about = (waits: Waits, event: DatsEvent, said: Said, own: boolean): void => {
    const { record } = waits;
    switch (event.type) {
      case 'dats.task.analyzed':
        return analysed(waits, event, said, own);
      case 'dats.task.decomposed':
        record.plans.push({ said, ask: record.planAsks.length - 1 });
        waits.routing = resolve(waits.routing, said.moment);
        waits.stage = resolve(waits.stage, said.moment);
        return;
      case 'dats.task.queued':
        waits.stage = resolve(waits.stage, said.moment);
        return;
      case 'dats.task.ready':
        return ready(waits, event, said);
      case 'dats.task.output.created':
        return answer(record.attempts[event.data.attempt - 1], 'outcome', said);
      case 'dats.task.attempt.failed':
        return failed(waits, event, said, own);
      case 'dats.task.validated':
      case 'dats.task.rejected':
        if (!own && record.status === undefined) answer(record.attempts[event.data.attempt - 1], 'verdict', said);
        return;
      case 'dats.task.retry.scheduled':
        over(waits, said);
        waits.stage = { due: millisOf(event.data.due), since: said.moment };
        return;
      case 'dats.task.cancel.requested':
        record.cancels.push(said);
        return;
      case 'dats.task.completed':
      case 'dats.task.failed':
      case 'dats.task.cancelled':
        if (record.status !== undefined) return;
        over(waits, said);
        waits.deadline = resolve(waits.deadline, said.moment);
        waits.routing = resolve(waits.routing, said.moment);
        record.status = event.type === 'dats.task.completed' ? 'completed' : event.type === 'dats.task.failed' ? 'failed' : 'cancelled';
    }
  };

  const hold = (event: DatsEvent): void => {
    bytes += textBytes(event);
    const isFull = event.type === 'dats.task.created' && tasks.size >= limits.tasks;
    if (!isFull && bytes <= limits.bytes) return;
    const most = isFull ? `${limits.tasks} tasks` : `${Math.round(limits.bytes / 1024 / 1024)} MiB of descriptions, files and reasons`;
    throw new Fault('terminal', 'replay_too_large', `more than ${most} would have to be held; replay a shorter part: give from and until`);
  };

  const folded = (real: DatsEvent, offset: number, own: boolean): void => {
    const time = millisOf(real.time);
    const moment = own ? ownMoment(real, time) : { at: Number.NaN, order: offset };
    if (!own) unsettled.push({ offset, time, moment });
    const waits = 'task_id' in real.data ? tasks.get(real.data.task_id ?? '') : undefined;
    if (real.type === 'dats.task.created' ? waits !== undefined || !keeps(real.data, offset) : waits === undefined) return;
    const event = own && !isInput(real) ? real : inShadow(real, shadow);
    const said: Said = { event, offset, time, moment };
    hold(event);
    runs.take(event);
    if (event.type === 'dats.task.created') return created(event, said, own);
    if (waits === undefined) return;
    about(waits, event, said, own);
    if (event.type === 'dats.task.rejected' || event.type === 'dats.task.attempt.failed')
      if (event.data.attempt === waits.record.attempts.length) waits.reason = reasonOf(event);
  };

  /** Others' events that the deciders have not said anything after. */
  const waiting: { readonly event: DatsEvent; readonly offset: number }[] = [];
  let first = 0;
  const readUpTo = (offset: number): void => {
    while (first < waiting.length && waiting[first]!.offset <= offset) {
      const { event, offset: at } = waiting[first++]!;
      folded(event, at, false);
    }
    if (first <= WAITING_DROPPED) return;
    waiting.splice(0, first);
    first = 0;
  };

  return {
    take(event, offset) {
      events++;
      if (event.afteroffset === undefined) return void waiting.push({ event, offset });
      readUpTo(Number(event.afteroffset));
      folded(event, offset, true);
    },
    async finish(breather) {
      readUpTo(Number.POSITIVE_INFINITY);
      settleMoments(unsettled, anchors);
      await breather.give();
      const records = new Map(Array.from(tasks, ([id, { record }]) => [id, record]));
      const chosen = await choose(records, choice, breather);
      await breather.give();
      const submitted = Array.from(chosen.values()).filter(({ planned }) => !planned).length;
      const stretches = waited.map(stretchOf).filter(({ from, until }) => until.at >= from);
      return { history: { tasks: chosen, submitted, events, stretches }, runs };
    },
  };
};

/** What a lane takes in as it was, whoever said it; what else deciders said, its own deciders say. */
const isInput = ({ type }: DatsEvent): boolean => type === 'dats.task.created' || type === 'dats.task.cancel.requested';

/** Nothing is fired before it is known to be due. */
const stretchOf = ({ due, since, exact, until }: Wait & { readonly until: Moment }): Stretch => ({
  from: Math.max(since.at, exact ? due : Math.ceil(due / TIMER_RESOLUTION_MS) * TIMER_RESOLUTION_MS),
  until,
});

/** The event as the lanes see it: of their project, and without what nobody there looks at. Written out: there are many. */
const inShadow = (event: DatsEvent, projectid: string): DatsEvent => {
  let { data }: { data: unknown } = event;
  if (event.type === 'dats.task.output.created')
    data = { ...event.data, artifacts: event.data.artifacts.map(({ content: _, ...rest }) => rest) };
  const { specversion, id, source, type, time, subject, datacontenttype, dataschema, correlationid, actor, configversion } = event;
  return {
    specversion,
    id,
    source,
    type,
    time,
    subject,
    datacontenttype,
    dataschema,
    projectid,
    correlationid,
    actor,
    configversion,
    data,
  } as unknown as DatsEvent;
};
