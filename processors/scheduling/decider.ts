// Scheduling: when a task runs, when it is tried again, and how it ends. State machine: docs/lifecycle.md.
//
// C1. A task has at most one terminal event (`completed`, `failed`, `cancelled`). C2. A cancelled task never becomes completed.
// C3. At most `max_running` tasks of a project hold a place (ready, running, validating). C4. Within a project priority decides, then age; a retry goes
// before fresh tasks of its priority. C5. A task runs only when all it depends on is completed, and their artifacts are its inputs.
// C7. With budgets (quota.ts, gates.ts) an attempt is set aside before it is begun, and settled once with its end.
// C8. While the node is held (hold.ts) no attempt is begun; what runs goes on.
// C6. A parent completes with the last of its subtasks; a subtask that fails or is cancelled fails its parent, and a parent's end cancels what is open of its subtasks.
import {
  type Allowance,
  type DataOf,
  type DatsEvent,
  derivedId,
  type EventOf,
  type EventType,
  isTerminal,
  type TaskError,
  type Work,
  workTopic,
} from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { type Draft, sayOn } from '../draft.js';
import { isoOf, millisOf } from '../iso-time.js';
import type { Policies } from '../policies.js';
import { BUILT_IN_PROMPTS, GENERATE_PROMPT, type PromptVersions } from '../prompt-versions.js';
import { dueTimers, nextTimer } from '../timers.js';
import { plannedTasks } from './children.js';
import { awaitsOutput, evolve, isAwaited, noteEarly } from './evolve.js';
import { mayAsk, reopened } from './gates.js';
import { type Hold, keptBack, letGo, NO_HOLD, nextLook } from './hold.js';
import { lastWord, leaving, unblockedOf } from './move.js';
import { backoffMs, escalate, maxAttempts, maxRunning, type SchedulingPolicy, timeoutMs } from './policy.js';
import { allowanceOf, NO_QUOTAS, refusalOf, type SchedulingQuotas, stepFor, usedBy, usedFor, usedUp } from './quota.js';
import { about, ask, giveBack, inChainOf, settle, settleOpen, untilEnds } from './said.js';
import {
  changes,
  firstInLine,
  HOLDS_A_PLACE,
  newState,
  type OpenTask,
  positionFor,
  queueLength,
  restore,
  type SchedulingState,
} from './state.js';

const CONSUMES = [
  'dats.task.created',
  'dats.task.analyzed',
  'dats.task.decomposed',
  'dats.task.queued',
  'dats.task.ready',
  'dats.task.started',
  'dats.task.output.created',
  'dats.task.attempt.failed',
  'dats.task.timedout',
  'dats.task.validated',
  'dats.task.rejected',
  'dats.task.retry.scheduled',
  'dats.task.cancel.requested',
  'dats.task.cancelled',
  'dats.task.completed',
  'dats.task.failed',
  'dats.quota.reserved',
  'dats.quota.blocked',
  'dats.project.move.started',
  'dats.project.released',
  'dats.project.moved',
  'dats.project.arrived',
] as const satisfies readonly EventType[];

type EndEvent = EventOf<'dats.task.completed' | 'dats.task.failed' | 'dats.task.cancelled'>;
const isEnd = (event: DatsEvent): event is EndEvent => isTerminal(event.type);

/**
 * @param prompts the versions that work items name
 * @param budgets what tasks may use of models
 * @param node the node that this is, where there are several
 * @param hold while it is on nothing is begun
 */
export const schedulingDecider = (
  policies: Policies<SchedulingPolicy>,
  prompts: () => PromptVersions = () => BUILT_IN_PROMPTS,
  budgets: SchedulingQuotas = NO_QUOTAS,
  node?: string,
  hold: Hold = NO_HOLD,
): Decider<SchedulingState> => {
  const decide = (state: SchedulingState, event: DatsEvent, offset: number): readonly Draft[] => {
    const now = millisOf(event.time);
    if (event.type === 'dats.project.moved' || event.type === 'dats.project.arrived') return goOn(state, event.projectid, now);
    if (!('task_id' in event.data) || event.data.task_id === undefined) return [];
    const task = state.tasks.get(event.data.task_id);
    if (event.type === 'dats.quota.reserved') return onReserved(task, event, now);
    if (!task) return isEnd(event) ? afterEnd(state, event, now) : [];
    switch (event.type) {
      case 'dats.task.created':
        return onCreated(state, task, event);
      case 'dats.task.analyzed':
        return task.stage === 'pending' && task.attempt === 0 ? schedule(state, task, now, new Map()) : [];
      case 'dats.task.decomposed':
        if (task.stage !== 'children' || task.children!.some((id) => state.tasks.has(id) || state.closed.has(id))) return [];
        return plannedTasks(task, event).map((draft) => inChainOf(task, draft));
      case 'dats.task.queued':
        if (event.data.reason === 'quota') return event.data.reservation_id === undefined ? reopen(state, task.project, now) : [];
        return event.data.reason === 'project_limit' ? admit(state, task.project, now, new Map()) : [];
      case 'dats.quota.blocked':
        return onBlocked(state, task, event, now);
      case 'dats.task.ready':
      case 'dats.task.retry.scheduled':
        return reopen(state, task.project, now);
      case 'dats.task.output.created':
        if (task.stage !== 'validating' || task.output !== offset) return [];
        return [...settle(task, usedFor(event.data)), ...judge(task, now), ...reopen(state, task.project, now)];
      case 'dats.task.validated':
        return task.stage === 'validating' && task.attempt === event.data.attempt ? [complete(task, now)] : [];
      case 'dats.task.rejected':
        if (task.stage !== 'validating' || task.attempt !== event.data.attempt) return [];
        return again(state, task, now, { code: 'rejected', message: event.data.reasons[0]!, retryable: event.data.retryable }, true);
      case 'dats.task.attempt.failed':
        return onAttemptFailed(state, task, event, now);
      case 'dats.task.cancel.requested':
        return [
          ...settleOpen(task),
          ...end(state, task, about(task, 'dats.task.cancelled', { task_id: task.id, reason: event.data.reason, by: event.data.by })),
        ];
      default:
        return [];
    }
  };

  const onCreated = (state: SchedulingState, task: OpenTask, event: EventOf<'dats.task.created'>): readonly Draft[] => {
    const early = state.early.get(task.id);
    if (early !== undefined) {
      const { reason, by } = early;
      return [about(task, 'dats.task.cancelled', { task_id: task.id, reason, by })];
    }
    const dead = event.data.depends_on.find((id) => (state.closed.get(id)?.status ?? 'completed') !== 'completed');
    return dead === undefined || task.stage !== 'pending'
      ? []
      : [fail(task, { code: 'dependency_failed', message: `task ${dead}, which it depends on, did not complete`, retryable: false })];
  };

  /** A project has come: what waited there; or it has left: who waited for its tasks. */
  const goOn = (state: SchedulingState, project: string, now: number): readonly Draft[] => {
    const given = new Map<string, number>();
    const drafts = unblockedOf(state, project).flatMap((task) => schedule(state, task, now, given));
    const others = reopened(state, project).filter((one) => one !== project);
    return untilEnds([...drafts, ...[project, ...others].flatMap((one) => admit(state, one, now, given))]);
  };

  /** Free places of a project, less what this decision has given away already. */
  const takePlace = (state: SchedulingState, project: string, given: Map<string, number>): boolean => {
    if (state.moving.has(project) || keptBack(hold, state)) return false;
    const taken = (state.projects.get(project)?.running.size ?? 0) + (given.get(project) ?? 0);
    if (taken >= maxRunning(policies.now(), project)) return false;
    given.set(project, (given.get(project) ?? 0) + 1);
    return true;
  };

  /** Ready now, or in a queue. Who is queued is first in line at once where there is a place: see `dats.task.queued`. */
  const schedule = (state: SchedulingState, task: OpenTask, now: number, given: Map<string, number>): readonly Draft[] => {
    const queued = { task_id: task.id, attempt: task.attempt + 1 };
    if (task.deps.length > 0) return [about(task, 'dats.task.queued', { ...queued, reason: 'dependencies', position: 0 })];
    const queues = state.projects.get(task.project);
    const position = positionFor(queues, task.priority);
    if (!mayAsk(state, task, now, given)) return [about(task, 'dats.task.queued', { ...queued, reason: 'quota', position })];
    const isNext = !queues || queueLength(queues) === 0 || task.stage === 'queued';
    if (isNext && takePlace(state, task.project, given)) return begin(state, task, now);
    return [about(task, 'dats.task.queued', { ...queued, reason: 'project_limit', position })];
  };

  /** Ready, where no budget applies; else the ledger is asked first. */
  const begin = (state: SchedulingState, task: OpenTask, now: number): readonly Draft[] => {
    const step = stepFor(task, budgets);
    if (step.kind === 'ready') return ready(task, now, step.allowance);
    if (step.kind === 'ask') return ask(task, step, now + timeoutMs(policies.now(), task.options));
    return [about(task, 'dats.quota.blocked', step.blocked), ...end(state, task, fail(task, step.error))];
  };

  const onReserved = (task: OpenTask | undefined, { data }: EventOf<'dats.quota.reserved'>, now: number): readonly Draft[] => {
    const { reservation_id: id } = data;
    if (task !== undefined && isAwaited(task, id)) return ready(task, now, allowanceOf(stepFor(task, budgets), data), id);
    return task?.reservation === id && awaitsOutput(task, task.attempt) ? [] : [giveBack(data)];
  };

  const onBlocked = (state: SchedulingState, task: OpenTask, { data }: EventOf<'dats.quota.blocked'>, now: number): readonly Draft[] => {
    if (data.retry_at !== undefined) return reopen(state, task.project, now);
    return data.reservation_id !== undefined && isAwaited(task, data.reservation_id) ? end(state, task, fail(task, refusalOf(data))) : [];
  };

  const ready = (task: OpenTask, now: number, allowance: Allowance, reservation_id?: string): readonly Draft[] => {
    const attempt = task.attempt + 1;
    const data: DataOf<'dats.task.ready'> = {
      task_id: task.id,
      attempt,
      tier: task.tier,
      domain: task.domain,
      prompt_version: prompts().generate,
      context: contextOf(task),
      due: isoOf(now + timeoutMs(policies.now(), task.options)),
      allowance,
    };
    const { task_id, tier, domain, prompt_version, context, due } = data;
    const work: DataOf<'dats.work.requested'> = {
      task_id,
      attempt,
      tier,
      domain,
      prompt_version,
      context,
      due,
      kind: 'generate',
      allowance,
    };
    if (reservation_id !== undefined) data.reservation_id = reservation_id;
    if (task.options.model !== undefined) data.model = work.model = task.options.model;
    return [
      about(task, 'dats.task.ready', data),
      inChainOf(task, sayOn(workTopic(task.tier), task.id, 'dats.work.requested', task.id, work)),
    ];
  };

  const contextOf = (task: OpenTask): Work['context'] => {
    const context: Work['context'] = { created: task.at, inputs: task.inputs };
    if (task.parentAt !== undefined) context.parent = task.parentAt;
    if (task.rejected !== undefined) context.rejected = task.rejected;
    return context;
  };

  /** Gives free places of a project to the first in line. */
  const admit = (state: SchedulingState, project: string, now: number, given: Map<string, number>): readonly Draft[] => {
    const queues = state.projects.get(project);
    if (!queues || queueLength(queues) === 0 || state.moving.has(project) || keptBack(hold, state)) return [];
    const free = maxRunning(policies.now(), project) - queues.running.size - (given.get(project) ?? 0);
    if (free <= 0) return [];
    const may = state.gates.size === 0 ? undefined : (task: OpenTask) => mayAsk(state, task, now, given);
    return firstInLine(queues, free, may).flatMap((task) => begin(state, task, now));
  };

  /** After a change of gates: whose queues may go on. */
  const reopen = (state: SchedulingState, project: string, now: number, given = new Map<string, number>()): readonly Draft[] =>
    reopened(state, project).flatMap((one) => admit(state, one, now, given));

  /** The output waits for its verdict: given here when nothing is to be checked, else asked for. */
  const judge = (task: OpenTask, now: number): readonly Draft[] => {
    const { attempt } = task;
    if (task.profile === 'none')
      return [about(task, 'dats.task.validated', { task_id: task.id, attempt, profile: 'none', checks: [], score: 1 })];
    const context = contextOf(task);
    context.output = task.output!;
    const work: DataOf<'dats.work.requested'> = {
      task_id: task.id,
      kind: 'check',
      attempt,
      tier: task.tier,
      domain: task.domain,
      prompt_version: GENERATE_PROMPT,
      qa_profile: task.profile,
      context,
      due: isoOf(task.dueMs ?? now + timeoutMs(policies.now(), task.options)),
    };
    return [inChainOf(task, sayOn(workTopic('qa'), task.id, 'dats.work.requested', task.id, work))];
  };

  const onAttemptFailed = (
    state: SchedulingState,
    task: OpenTask,
    event: EventOf<'dats.task.attempt.failed'>,
    now: number,
  ): readonly Draft[] => {
    const { stage, attempt, error } = event.data;
    // A plan that may still come another way is routing's to ask for.
    if (stage === 'decomposition') return task.stage === 'decomposing' && !error.retryable ? end(state, task, fail(task, error)) : [];
    if (stage === 'analysis' || task.attempt !== attempt) return [];
    if (stage === 'generation' ? !awaitsOutput(task, attempt) : task.stage !== 'validating') return [];
    const drafts = [...again(state, task, now, error, error.code.startsWith('answer_') || error.code === 'model_refused')];
    if (stage !== 'generation') return drafts;
    const blocked = usedUp(task, event.data);
    if (blocked !== undefined) drafts.unshift(about(task, 'dats.quota.blocked', blocked));
    const { calls } = event.data;
    return [...(calls === undefined ? settleOpen(task) : settle(task, usedBy(calls))), ...drafts];
  };

  /** Another attempt, on a higher tier where that may help, or the end. */
  const again = (state: SchedulingState, task: OpenTask, now: number, error: TaskError, better: boolean): readonly Draft[] => {
    if (!error.retryable || task.attempt >= maxAttempts(policies.now(), task)) {
      const tries = task.attempt === 1 ? 'after 1 attempt' : `after ${task.attempt} attempts`;
      return end(state, task, fail(task, { ...error, message: `${tries}: ${error.message}`, retryable: false }));
    }
    const backoff_ms = backoffMs(policies.now(), task.id, task.attempt);
    const tier = better ? escalate(task.tier) : task.tier;
    return [
      about(task, 'dats.task.retry.scheduled', {
        task_id: task.id,
        attempt: task.attempt + 1,
        due: isoOf(now + backoff_ms),
        backoff_ms,
        tier,
        escalated: tier !== task.tier,
        reason: `${error.code}: ${error.message}`.slice(0, 2000),
      }),
    ];
  };

  const complete = (task: OpenTask, now: number): Draft =>
    about(task, 'dats.task.completed', {
      task_id: task.id,
      attempt: task.attempt,
      provenance_id: derivedId(task.id, 'execution', task.attempt),
      execution_time_ms: Math.max(0, now - task.createdMs),
    });
  const fail = (task: OpenTask, error: TaskError): Draft =>
    about(task, 'dats.task.failed', { task_id: task.id, attempt: task.attempt, error });

  /** The end of a task, and of its open subtasks with it. */
  const end = (state: SchedulingState, task: OpenTask, draft: Draft): readonly Draft[] => [
    draft,
    ...(task.children ?? []).flatMap((id) => {
      const child = state.tasks.get(id);
      if (child === undefined) return [];
      const reason = `its parent ${task.id} ended`;
      return [...settleOpen(child), about(child, 'dats.task.cancelled', { task_id: id, reason, by: 'scheduling' })];
    }),
  ];

  /** What follows when a task has ended: a place is free, others waited for it. It has left the state already. */
  const afterEnd = (state: SchedulingState, event: EndEvent, now: number): readonly Draft[] => {
    const given = new Map<string, number>();
    const drafts = [...parentAfter(state, event, now), ...dependantsAfter(state, event)];
    for (const id of state.unblocked) drafts.push(...schedule(state, state.tasks.get(id)!, now, given));
    drafts.push(...admit(state, event.projectid, now, given));
    for (const project of reopened(state, event.projectid))
      if (project !== event.projectid) drafts.push(...admit(state, project, now, given));
    return untilEnds(drafts);
  };

  const dependantsAfter = (state: SchedulingState, event: EndEvent): readonly Draft[] => {
    if (event.type === 'dats.task.completed') return [];
    const message = `task ${event.data.task_id}, which it depends on, did not complete`;
    return [...(state.dependants.get(event.data.task_id) ?? [])].flatMap((id) => {
      const task = state.tasks.get(id)!;
      return end(state, task, fail(task, { code: 'dependency_failed', message, retryable: false }));
    });
  };

  const parentAfter = (state: SchedulingState, event: EndEvent, now: number): readonly Draft[] => {
    const id = event.data.task_id;
    const parent = state.tasks.get(state.closed.get(id)?.parent ?? '');
    if (!parent?.children) return [];
    if (event.type === 'dats.task.completed') return parent.children.length === 0 ? [complete(parent, now)] : [];
    const how = event.type === 'dats.task.failed' ? `failed: ${event.data.error.message}` : 'was cancelled';
    return end(state, parent, fail(parent, { code: 'subtask_failed', message: `its subtask ${id} ${how}`, retryable: false }));
  };

  const tick = (state: SchedulingState, now: number): readonly Draft[] => {
    const given = new Map<string, number>();
    const due = dueTimers(state.timers, now).flatMap((id) => onDue(state, state.tasks.get(id)!, now, given));
    if (letGo(hold, state)) due.push(...[...state.projects.keys()].flatMap((project) => admit(state, project, now, given)));
    return due.length > 0 ? untilEnds(due) : leaving(state).map((move) => lastWord(move, node!));
  };

  const onDue = (state: SchedulingState, task: OpenTask, now: number, given: Map<string, number>): readonly Draft[] => {
    if (task.deadlineMs !== undefined && task.deadlineMs <= now) {
      const message = `it was not finished by its deadline ${isoOf(task.deadlineMs)}`;
      return [...settleOpen(task), ...end(state, task, fail(task, { code: 'deadline', message, retryable: false }))];
    }
    if (task.stage === 'retrying' || task.stage === 'queued') return schedule(state, task, now, given);
    const after_ms = timeoutMs(policies.now(), task.options);
    const what = HOLDS_A_PLACE.has(task.stage) ? 'the attempt' : 'its analysis';
    const error = { code: 'timeout', message: `${what} did not finish within ${after_ms / 1000} s`, retryable: task.attempt > 0 };
    const timedout = task.attempt > 0 ? [about(task, 'dats.task.timedout', { task_id: task.id, attempt: task.attempt, after_ms })] : [];
    return [...settleOpen(task), ...timedout, ...again(state, task, now, error, false)];
  };

  return {
    name: 'scheduling',
    consumes: CONSUMES,
    initialState: newState,
    decide,
    evolve: (state, event, offset) => {
      if (node !== undefined) noteEarly(state, event);
      evolve(policies.under, state, event, offset);
    },
    // Asked for twice: the submitter got no answer to the first, or asked at two nodes.
    declines: ({ tasks, closed }, event) =>
      event.type === 'dats.task.created' && (tasks.has(event.data.task_id) || closed.has(event.data.task_id)),
    nextDue: (state) => (leaving(state).length > 0 ? 0 : nextLook(hold, state, nextTimer(state.timers))),
    tick,
    changes,
    restore,
  };
};
