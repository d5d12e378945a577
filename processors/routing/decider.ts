// Routing as a decision: created -> analysed (at once, or after a model was asked) -> decomposed where that was wished.
//
// R1. No task gets stuck here: when asking a model fails or takes longer than `answerLimitMs`, the cheap signals (or the lists of the description) decide.
// R2. Of answers the first counts; later ones are answered with nothing. R3. An entry only while an answer or a plan is awaited: most tasks have
// none. So a creation that is repeated afterwards is analysed again; scheduling takes the first analysis of a task only. R4. Whether a model is asked follows
// from the policy that the creation names, so that the fold comes out the same whenever it is made.
// A transition is found by `evolve` and kept for the `decide` that follows; it is no part of the entries, because nothing survives on it.
import { type DatsEvent, type EventOf, type EventType, TERMINAL_TYPES, type Work, workTopic } from '../../schemas/index.js';
import type { Decider, StateEntries } from '../decider.js';
import { type Chain, type Draft, inChain, say, sayOn } from '../draft.js';
import { isoOf, millisOf } from '../iso-time.js';
import type { Policies } from '../policies.js';
import { BUILT_IN_PROMPTS, type PromptVersions } from '../prompt-versions.js';
import { analysisOf, type Classification, classify } from './classify.js';
import type { Throughput } from './estimate.js';
import { LIST_PLAN } from './list-plan.js';
import { type Features, materialOf, signalsOf } from './signals.js';

export interface RoutingOptions {
  /** Below this confidence (0..1) of the cheap signals a model is asked; 0 never asks. */
  readonly askModelBelow: number;
  /** False: no model is configured that could analyse. */
  readonly modelAvailable: boolean;
  /** Model calls that one task may cause; default: no limit. */
  readonly callsPerTask?: number;
  /** How long an analysis or a plan may take, waiting for its turn included, in milliseconds. Default ANSWER_LIMIT_MS. */
  readonly answerLimitMs?: number;
  /** Tokens a second by tier, for estimates; default THROUGHPUT. */
  readonly throughput?: Throughput;
}

export const ANSWER_LIMIT_MS = 120_000;

/** Asking for a plan: first a model, then (`listing`) the lists of the description. */
type Phase = 'analysing' | 'analysed' | 'planning' | 'listing' | 'done';

interface Entry {
  readonly phase: Phase;
  /** Offset where the task's spec stands; only while work may still be asked for. */
  readonly created?: number;
  readonly decompose?: true;
  /** Only while analysing. */
  readonly features?: Features;
  /** Id of the failure after which the lists were asked for, so that its repetition is not taken for theirs. */
  readonly failure?: string;
  /** Milliseconds since the epoch; only while an answer is awaited. */
  readonly due?: number;
  /** The task's own: what is said when no answer comes has no cause. Only while an answer is or may be awaited. */
  readonly chain?: Chain;
}

interface Transition {
  readonly made?: { readonly features: Features; readonly classification: Classification };
  readonly before: Entry | undefined;
  readonly after: Entry;
}

export interface RoutingState {
  readonly tasks: Map<string, Entry>;
  /** Task -> due, in the order in which the answers are due. */
  readonly awaited: Map<string, number>;
  readonly changed: Map<string, Entry | null>;
  /** By the event that `evolve` took: several may be taken before the first is decided on. */
  readonly transitions: WeakMap<DatsEvent, Transition>;
}

const CONSUMES: readonly EventType[] = [
  'dats.task.created',
  'dats.task.analyzed',
  'dats.task.decomposed',
  'dats.task.attempt.failed',
  ...TERMINAL_TYPES,
];
const DONE: Entry = { phase: 'done' };

/** Nothing more is to come from here for such a task. */
const isSettled = (entry: Entry): boolean => entry.phase === 'done' || (entry.phase === 'analysed' && entry.decompose === undefined);

const put = (state: RoutingState, task: string, entry: Entry): void => {
  if (isSettled(entry)) return remove(state, task);
  state.tasks.set(task, entry);
  state.changed.set(task, entry);
  state.awaited.delete(task);
  if (entry.due !== undefined) state.awaited.set(task, entry.due);
};

const remove = (state: RoutingState, task: string): void => {
  if (!state.tasks.delete(task)) return;
  state.awaited.delete(task);
  state.changed.set(task, null);
};

/** What was said about a task whose entry is `entry`, when it needs no model any more. */
const afterAnalysis = (entry: Entry, at: number, limit: number): Entry =>
  entry.decompose === undefined ? DONE : { phase: 'planning', created: entry.created!, due: at + limit, chain: entry.chain! };

const workOf = (
  task: string,
  kind: 'analyse' | 'decompose',
  prompt_version: string,
  created: number,
  due: number,
  by: Pick<Work, 'tier' | 'domain' | 'allowance'>,
): Draft =>
  sayOn(workTopic('analysis'), task, 'dats.work.requested', task, {
    task_id: task,
    kind,
    attempt: 0,
    tier: by.tier,
    domain: by.domain,
    prompt_version,
    context: { created, inputs: [] },
    due: isoOf(due),
    ...(by.allowance === undefined ? {} : { allowance: by.allowance }),
  });

const chainOf = ({ projectid, correlationid, traceparent }: DatsEvent): Chain =>
  traceparent === undefined ? { projectid, correlationid } : { projectid, correlationid, traceparent };

/** @param prompts the versions that work items name */
export const routingDecider = (
  policies: Policies<RoutingOptions>,
  prompts: () => PromptVersions = () => BUILT_IN_PROMPTS,
): Decider<RoutingState> => {
  const limit = policies.now().answerLimitMs ?? ANSWER_LIMIT_MS;

  const analyzed = (task: string, features: Features, made: Classification, at: number): Draft =>
    say('dats.task.analyzed', task, { task_id: task, ...analysisOf(made, features, at, undefined, policies.now().throughput) });

  /** What of its calls a task has left, after `made`. */
  const allowanceAfter = (made: number): Pick<Work, 'allowance'> => {
    const { callsPerTask } = policies.now();
    return callsPerTask === undefined ? {} : { allowance: { calls: Math.max(0, callsPerTask - made) } };
  };

  /** The plan of the description's own lists is work too: it reads the description from the log, and asks no model. */
  const listed = (task: string, entry: Entry): Draft =>
    workOf(task, 'decompose', LIST_PLAN, entry.created!, entry.due!, { tier: 'small', domain: 'general' });

  const unplanned = (task: string, why: string): Draft =>
    say('dats.task.attempt.failed', task, {
      task_id: task,
      attempt: 0,
      stage: 'decomposition',
      error: { code: 'no_plan', message: `${why}; submit the task without "decompose", or write its steps as a list`, retryable: false },
    });

  const onCreated = (state: RoutingState, event: EventOf<'dats.task.created'>, offset: number): void => {
    const { task_id, options: wished, parent_id } = event.data;
    if (state.tasks.has(task_id)) return;
    const features = signalsOf(materialOf(event.data));
    const classification = classify(features);
    const options = policies.under(event.configversion);
    const unsure = classification.confidence < options.askModelBelow && wished.tier === undefined && wished.model === undefined;
    const chain = chainOf(event);
    const decompose = wished.decompose === true && parent_id === undefined ? { decompose: true as const, created: offset, chain } : {};
    const after: Entry =
      unsure && options.modelAvailable
        ? { phase: 'analysing', created: offset, ...decompose, features, due: millisOf(event.time) + limit, chain }
        : { phase: 'analysed', ...decompose };
    put(state, task_id, after);
    state.transitions.set(event, { made: { features, classification }, before: undefined, after });
  };

  const onFailed = (state: RoutingState, event: EventOf<'dats.task.attempt.failed'>): void => {
    const { task_id, attempt, stage, error } = event.data;
    const before = state.tasks.get(task_id);
    if (before === undefined || attempt !== 0) return;
    let after: Entry | undefined;
    if (stage === 'analysis' && before.phase === 'analysing')
      after = { phase: 'analysed', ...(before.decompose ? { decompose: true, created: before.created!, chain: before.chain! } : {}) };
    if (stage === 'decomposition' && (before.phase === 'planning' || (before.phase === 'listing' && before.failure !== event.id)))
      after =
        error.retryable && before.phase === 'planning'
          ? { ...before, phase: 'listing', failure: event.id, due: millisOf(event.time) + limit }
          : DONE;
    if (after === undefined) return;
    put(state, task_id, after);
    state.transitions.set(event, { before, after });
  };

  const evolve = (state: RoutingState, event: DatsEvent, offset: number): void => {
    switch (event.type) {
      case 'dats.task.created':
        return onCreated(state, event, offset);
      case 'dats.task.analyzed': {
        const before = state.tasks.get(event.data.task_id);
        if (before?.phase !== 'analysing' && before?.phase !== 'analysed') return;
        const after = afterAnalysis(before, millisOf(event.time), limit);
        put(state, event.data.task_id, after);
        state.transitions.set(event, { before, after });
        return;
      }
      case 'dats.task.decomposed': {
        const before = state.tasks.get(event.data.task_id);
        if (before !== undefined && before.phase !== 'done') put(state, event.data.task_id, DONE);
        return;
      }
      case 'dats.task.attempt.failed':
        return onFailed(state, event);
      case 'dats.task.completed':
      case 'dats.task.failed':
      case 'dats.task.cancelled':
        return remove(state, event.data.task_id);
    }
  };

  const decide = (state: RoutingState, event: DatsEvent): readonly Draft[] => {
    const transition = state.transitions.get(event);
    if (transition === undefined) return [];
    const { before, after } = transition;
    switch (event.type) {
      case 'dats.task.created': {
        const { features, classification } = transition.made!;
        const task = event.data.task_id;
        return after.phase === 'analysing'
          ? [workOf(task, 'analyse', prompts().analyse, after.created!, after.due!, { ...classification, ...allowanceAfter(0) })]
          : [analyzed(task, features, classification, millisOf(event.time))];
      }
      case 'dats.task.analyzed': {
        const { task_id, tier, domain, calls = [] } = event.data;
        const by = { tier, domain, ...allowanceAfter(calls.length) };
        return after.phase === 'planning' ? [workOf(task_id, 'decompose', prompts().decompose, after.created!, after.due!, by)] : [];
      }
      case 'dats.task.attempt.failed': {
        const task = event.data.task_id;
        if (before?.phase === 'analysing') return [analyzed(task, before.features!, classify(before.features!), millisOf(event.time))];
        if (after.phase === 'listing') return [listed(task, after)];
        return event.data.error.retryable ? [unplanned(task, `no plan could be made (${event.data.error.code})`)] : [];
      }
      default:
        return [];
    }
  };

  /** The answer has not come in time. What is said here is folded like everything else, and moves the entry on. */
  const overdue = (task: string, entry: Entry, now: number): Draft => {
    if (entry.phase === 'analysing') return analyzed(task, entry.features!, classify(entry.features!), now);
    return say('dats.task.attempt.failed', task, {
      task_id: task,
      attempt: 0,
      stage: 'decomposition',
      error: {
        code: 'plan_timeout',
        message: `no plan came within ${limit} ms`,
        retryable: entry.phase === 'planning',
      },
    });
  };

  return {
    name: 'routing',
    consumes: CONSUMES,
    initialState: () => ({ tasks: new Map(), awaited: new Map(), changed: new Map(), transitions: new WeakMap() }),
    evolve,
    decide,
    nextDue: (state) => state.awaited.values().next().value,
    tick: (state, now) => {
      const drafts: Draft[] = [];
      for (const [task, due] of state.awaited) {
        if (due > now) break;
        const entry = state.tasks.get(task)!;
        drafts.push(inChain(entry.chain!, overdue(task, entry, now)));
      }
      return drafts;
    },
    changes: (state): StateEntries => {
      const changed = new Map<string, unknown>(state.changed);
      state.changed.clear();
      return changed;
    },
    restore: (entries) => {
      const tasks = new Map(entries as Iterable<readonly [string, Entry]>);
      const awaited = [...tasks].flatMap(([task, { due }]): [string, number][] => (due === undefined ? [] : [[task, due]]));
      return { tasks, awaited: new Map(awaited.sort((a, b) => a[1] - b[1])), changed: new Map(), transitions: new WeakMap() };
    },
  };
};
