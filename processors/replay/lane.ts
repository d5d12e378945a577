// A lane: the real deciders over a shadow project on a virtual clock. People's events come when they came, answers as the oracle gives them.
//
// L1. Nothing leaves a lane: it has no log, and its project's id is one that no door accepts. L2. The same history and changes give the same lane. L3. With nothing
// changed, everything happens at its recorded moment and in its recorded order. L4. It ends when every task that had ended has. L5. A fault in a lane is the
// replay's end, never the node's: the real project goes on.
import {
  type DatsEvent,
  type EventOf,
  Fault,
  isFault,
  isTerminal,
  LIFECYCLE,
  type ReplayChanges,
  type ReplayCounters,
} from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { type Fold, type Said as FoldSaid, openFold } from '../host/fold.js';
import { fixed } from '../policies.js';
import type { PromptVersions } from '../prompt-versions.js';
import { type RoutingOptions, routingDecider } from '../routing/index.js';
import type { SchedulingPolicy } from '../scheduling/index.js';
import { isBefore, openAgenda } from './agenda.js';
import type { Breather } from './breather.js';
import { reasonOf } from './call.js';
import { changedScheduling, policyFor } from './changes.js';
import { type Live, openOracle } from './oracle.js';
import { type History, isJudged, type Moment } from './record.js';
import { isSameWay, openRuns, type Runs } from './runs.js';
import type { Statistics } from './statistics.js';
import { firedAt } from './stretches.js';

/** Events of a lane and what they are of: what an effect reads by offset. */
export type EventsOf = (offset: number) => DatsEvent | undefined;

export interface LaneOptions {
  readonly project: string;
  readonly shadow: string;
  readonly history: History;
  /** How the tasks went, to see where the lane goes another way. */
  readonly observed: Runs;
  readonly statistics: Statistics;
  readonly routing: RoutingOptions;
  readonly scheduling: SchedulingPolicy;
  readonly prompts: PromptVersions;
  readonly changes: ReplayChanges;
  /** Offsets of the lane begin here: above every real one. */
  readonly firstOffset: number;
  readonly live?: (events: EventsOf) => Live;
  readonly breather: Breather;
  readonly onProgress: (done: number, total: number) => Promise<void>;
}

export interface Lane {
  readonly runs: Runs;
  readonly counters: ReplayCounters;
  readonly estimates: { readonly outcomes: number; readonly unseen: number };
  readonly cancels: { readonly fired: number; readonly too_late: number };
}

export const SOURCE = '/deciders/replay';
/** Timers in a row that nothing comes of: more is a fault of this code. */
const IDLE_TICKS = 1_000;

/** L5. */
export const endOfReplay = (error: unknown): unknown =>
  isFault(error, 'fatal') ? new Fault('terminal', error.code, error.message, { cause: error }) : error;

export const runLane = async (options: LaneOptions): Promise<Lane> => {
  const { project, shadow, history, changes, routing, statistics, breather, firstOffset } = options;
  const { tasks } = history;
  const agenda = openAgenda<() => DatsEvent | undefined>();
  const runs = openRuns();
  const reasons = new Map<string, string>();
  const outputs = new Map<string, DatsEvent>();
  const events: DatsEvent[] = [];
  let offset = firstOffset - 1;
  const cancels = { fired: 0, too_late: 0 };
  const total = [...tasks.values()].filter(isJudged).length;
  let unfinished = total;
  let clock = Number.NEGATIVE_INFINITY;
  let awaited: Promise<void>[] = [];

  const deciders = [
    routingDecider(fixed(routing), () => options.prompts) as Decider,
    changedScheduling(policyFor(options.scheduling, project, shadow, changes), changes, tasks, options.prompts) as Decider,
  ];
  const fold: Fold = openFold(deciders, [], { source: SOURCE, configVersion: () => 'replay', now: () => clock });
  const oracle = openOracle({
    tasks,
    statistics,
    changes,
    live: options.live?.((at) => events[at - firstOffset]),
    attemptOf: (id) => runs.tasks.get(id)?.attempts.at(-1),
    previousOf: (id) => reasons.get(id),
    outputOf: (id) => outputs.get(id),
    plan: (when, make) => agenda.add(when, make),
    await: (answer) => {
      awaited.push(answer);
      // Whoever settles sees the failure; where the lane ends before that, nobody has to.
      answer.catch(() => {});
    },
  });

  const took = (event: DatsEvent): void => {
    const isEnd = isTerminal(event.type) && runs.tasks.get(event.subject)?.status === undefined;
    runs.take(event);
    if (event.type === 'dats.task.output.created') outputs.set(event.data.task_id, event);
    if (event.type === 'dats.task.rejected' || event.type === 'dats.task.attempt.failed')
      if (event.data.attempt === (runs.tasks.get(event.data.task_id)?.attempts.length ?? 0))
        reasons.set(event.data.task_id, reasonOf(event));
    if (isEnd && isJudged(tasks.get(event.subject))) unfinished--;
  };

  const heard = (said: readonly FoldSaid[]): void => {
    for (const { topic, event } of said) {
      if (topic === LIFECYCLE) took(event);
      else if (event.type === 'dats.work.requested') oracle.answer(event, clock);
    }
  };

  const cancelled = (event: EventOf<'dats.task.cancel.requested'>): DatsEvent => {
    const task = runs.tasks.get(event.data.task_id);
    if (isJudged(tasks.get(event.data.task_id))) cancels[task !== undefined && task.status === undefined ? 'fired' : 'too_late']++;
    return event;
  };

  const fire = firedAt(history.stretches);
  for (const { planned, creation, created, cancels: asked } of tasks.values()) {
    if (!planned) agenda.add(creation.moment, () => created);
    for (const { moment, event } of asked) agenda.add(moment, () => cancelled(event as EventOf<'dats.task.cancel.requested'>));
  }

  let idle = 0;
  const tick = (when: Moment, due: number): void => {
    clock = Math.max(clock, when.at, due);
    const said = fold.tick(clock, offset);
    idle = said.length === 0 ? idle + 1 : 0;
    if (idle > IDLE_TICKS) throw new Fault('terminal', 'replay_stuck', `timers of ${shadow} are due and nothing comes of them`);
    heard(said);
  };
  const stepped = (): boolean => {
    const due = fold.nextDue();
    const timer = due === undefined ? undefined : fire(Math.max(due, clock));
    const next = agenda.next();
    if (timer !== undefined && (next === undefined || isBefore(timer, next.when))) {
      tick(timer, due!);
      return true;
    }
    if (next === undefined) return false;
    agenda.take();
    clock = Math.max(clock, next.when.at);
    const event = next.what();
    if (event === undefined) return true;
    idle = 0;
    offset++;
    if (options.live !== undefined) events.push(event);
    took(event);
    heard(fold.take(event, offset));
    return true;
  };
  const step = (): boolean => {
    try {
      return stepped();
    } catch (error) {
      throw endOfReplay(error);
    }
  };
  const settle = async (): Promise<void> => {
    const next = agenda.next();
    if (next !== undefined && next.when.at <= clock) return;
    const waiting = awaited;
    awaited = [];
    await Promise.all(waiting);
  };

  while (unfinished > 0) {
    if (awaited.length > 0) await settle();
    if (!step() && awaited.length === 0) break;
    if (!breather.isDue()) continue;
    await breather.give();
    await options.onProgress(total - unfinished, total);
  }
  return { runs, counters: { ...oracle.counters, diverged: divergedIn(options, runs) }, estimates: oracle.estimates, cancels };
};

/** Tasks that went another way than recorded. */
const divergedIn = ({ history, observed }: LaneOptions, runs: Runs): number => {
  let count = 0;
  for (const [id, task] of history.tasks) if (isJudged(task) && !isSameWay(observed.tasks.get(id), runs.tasks.get(id))) count++;
  return count;
};
