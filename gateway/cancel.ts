// Cancelling: one event that asks, then a bounded wait for what came of it.
//
// C1. The answer says what happened, not what was hoped: `cancelled`, `already_final`, or `requested` when it has not ended within the wait.
// C2. When it says how the task ended, the next GET says the same.
import { isTerminal, LIFECYCLE, newId, partitionOf, type TaskView, timeoutSignal } from '../schemas/index.js';
import { ANONYMOUS, cancelEvent, type Requester } from './commands.js';
import { toHome, whereIs } from './link/index.js';
import { type Away, isFinal, lookForTask } from './reads.js';
import type { Services } from './services.js';

/** How long the answer waits for the task to end, unless told otherwise; milliseconds. */
export const CANCEL_WAIT_MS = 2_000;

export interface CancelAnswer {
  task_id: string;
  outcome: 'cancelled' | 'already_final' | 'requested';
  state: TaskView['state'];
  status: TaskView['status'];
  detail: string;
}

export const cancelTask = async (
  services: Services,
  taskId: string,
  command: { readonly reason: string; readonly by?: string | undefined },
  requester: Requester,
): Promise<CancelAnswer> => {
  const { deps } = services;
  const found = await lookForTask(deps, taskId);
  const before = 'view' in found ? found.view : undefined;
  if (before !== undefined && isFinal(before)) return answer(before, 'already_final');
  const event = cancelEvent({
    taskId,
    projectId: 'view' in found ? found.view.project_id : found.away.project_id,
    reason: command.reason,
    by: command.by ?? ANONYMOUS,
    eventId: newId(),
    requester,
    now: deps.now(),
    configVersion: deps.settings.current().version,
  });
  await deps.log.append([await toHome(deps, event)]);
  if ('away' in found) return sentOn(taskId, found.away, whereIs(deps, found.away.home));
  const wait = AbortSignal.any([timeoutSignal(services.cancelWaitMs), services.closing]);
  await ended(services, found.view, wait);
  const later = await lookForTask(deps, taskId);
  if ('away' in later) return sentOn(taskId, later.away, whereIs(deps, later.away.home));
  const after = later.view;
  if (!isFinal(after)) return answer(after, 'requested');
  return answer(after, after.state === 'cancelled' ? 'cancelled' : 'already_final');
};

/** Resolves when the task has ended, or when `signal` aborts. Looks from what the view knew: the end may have been on its way before the request. */
const ended = async ({ tail, deps }: Services, view: TaskView, signal: AbortSignal): Promise<void> => {
  const partition = partitionOf(view.project_id, deps.log.partitions(LIFECYCLE));
  for await (const batch of tail.follow({ partition, from: view.last_offset + 1, project: view.project_id, task: view.task_id }, signal))
    if (batch.some((record) => isTerminal(record.type))) return;
};

/** This node is not told what comes of it. */
const sentOn = (task_id: string, { home }: Away, where: string): CancelAnswer => ({
  task_id,
  outcome: 'requested',
  state: 'pending',
  status: 'pending',
  detail: `the request is recorded, and goes to node "${home}", which decides the task's project; ask ${where} what came of it`,
});

const answer = (view: TaskView, outcome: CancelAnswer['outcome']): CancelAnswer => ({
  task_id: view.task_id,
  outcome,
  state: view.state,
  status: view.status,
  detail: DETAIL[outcome](view),
});

const DETAIL: Readonly<Record<CancelAnswer['outcome'], (view: TaskView) => string>> = {
  cancelled: () => 'the task was cancelled; nothing more will be done for it',
  already_final: (view) => `nothing to cancel: the task is ${view.state} already`,
  requested: (view) =>
    `the request is recorded; the task was still ${view.state} when the wait for its end was over; GET /api/v1/tasks/${view.task_id} says when it has ended`,
};
