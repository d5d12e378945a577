// What people and scanners find out about what is there already: alerts, and rejections of what was accepted.
//
// F1. The id of a cascade that begins by policy is known before it has begun; the answer waits for it, but not for long, so that whoever asks for it finds it.

import canonicalize from 'canonicalize';
import type { z } from 'zod';
import { beginsCascade, type CascadePolicy, cascadeIdOf } from '../../processors/cascade/index.js';
import {
  type DataOf,
  type DatsEvent,
  derivedId,
  LIFECYCLE,
  partitionOf,
  type rejectTaskAnswerSchema,
  type rejectTaskSchema,
  type securityAlertAnswerSchema,
  type securityAlertSchema,
  type TaskView,
  timeoutSignal,
} from '../../schemas/index.js';
import { eventOf } from '../../streams/index.js';
import { ANONYMOUS, type Requester } from '../commands.js';
import { toHome } from '../link/index.js';
import { refuse } from '../problem.js';
import { taskNow } from '../reads.js';
import { saidEvent } from '../said.js';
import type { Services } from '../services.js';
import { homeOf } from './home.js';
import { requestIdOf, reused } from './keyed-requests.js';

export interface Finding<T> {
  readonly answer: T;
  readonly replayed: boolean;
}

type AlertAnswer = z.infer<typeof securityAlertAnswerSchema>;
type RejectAnswer = z.infer<typeof rejectTaskAnswerSchema>;

/** Appends, and waits until the cascade has begun (F1), or the wait is over. */
const find = async ({ deps, tail, cancelWaitMs, closing }: Services, event: DatsEvent, cascadeId: string | null): Promise<void> => {
  const partition = partitionOf(event.projectid, deps.log.partitions(LIFECYCLE));
  const { end } = await deps.log.range(LIFECYCLE, partition);
  await deps.log.append([await toHome(deps, event)]);
  if (cascadeId === null) return;
  const wait = AbortSignal.any([timeoutSignal(cancelWaitMs), closing]);
  for await (const records of tail.follow({ partition, from: end, project: event.projectid, task: cascadeId }, wait))
    if (records.length > 0) return;
};

/** @throws Fault `idempotency_key_reused` */
const checkSame = async ({ deps }: Services, projectId: string, offset: number, data: unknown): Promise<void> => {
  const partition = partitionOf(projectId, deps.log.partitions(LIFECYCLE));
  const record = await deps.log.get({ topic: LIFECYCLE, partition, offset });
  if (record !== undefined && canonicalize(eventOf(record).data) !== canonicalize(data)) throw reused();
};

export const alert = async (
  services: Services,
  body: z.infer<typeof securityAlertSchema>,
  requester: Requester,
  key: string | undefined,
): Promise<Finding<AlertAnswer>> => {
  const { by = ANONYMOUS, artifact_id, task_id, kind, severity, detail } = body;
  const project_id = (await homeOf(services, body))!.id;
  const alert_id = requestIdOf(key, 'alert', project_id, by);
  const cascade_id = beginsCascade(services.deps.config.cascade, severity) ? cascadeIdOf(alert_id) : null;
  const subject = artifact_id === undefined ? { task_id: task_id! } : { artifact_id };
  const data: DataOf<'dats.security.alert'> = { alert_id, kind, severity, ...subject, detail, by };
  const saying = { projectId: project_id, by, eventId: derivedId(alert_id, 'alert'), requester };
  return services.inTurn(alert_id, async () => {
    const earlier = key === undefined ? undefined : (await services.knowledge.project(project_id))?.alerts.get(alert_id);
    if (earlier === undefined)
      await find(services, saidEvent(services, 'dats.security.alert', artifact_id ?? task_id!, data, saying), cascade_id);
    else await checkSame(services, project_id, earlier, data);
    return { answer: { alert_id, project_id, cascade_id }, replayed: earlier !== undefined };
  });
};

const rejection = (view: TaskView, reason: string): DataOf<'dats.task.rejected'> => ({
  task_id: view.task_id,
  attempt: view.attempt,
  profile: view.qa_profile ?? 'none',
  checks: [{ name: 'person', status: 'failed', detail: reason, duration_ms: 0 }],
  score: 0,
  reasons: [reason],
  retryable: false,
});

/** @throws Fault `task_not_completed` */
const checkCompleted = ({ task_id, state, attempt, children }: TaskView): void => {
  if (state !== 'completed')
    throw refuse(
      'task_not_completed',
      `task "${task_id}" is ${state}: only what was accepted can be rejected afterwards; an open task can be cancelled`,
    );
  if (attempt === 0)
    throw refuse('task_not_completed', `task "${task_id}" made nothing itself; reject its subtasks: ${children.slice(0, 20).join(', ')}`);
};

const cascadeFor = (policy: CascadePolicy, eventId: string): string | null => (policy.on_late_rejection ? cascadeIdOf(eventId) : null);

export const reject = async (
  services: Services,
  taskId: string,
  body: z.infer<typeof rejectTaskSchema>,
  requester: Requester,
  key: string | undefined,
): Promise<Finding<RejectAnswer>> => {
  const { reason, by = ANONYMOUS } = body;
  const view = await taskNow(services.deps, taskId);
  checkCompleted(view);
  const { project_id, attempt } = view;
  const eventId = requestIdOf(key, 'reject', taskId, by);
  const cascade_id = cascadeFor(services.deps.config.cascade, eventId);
  const data = rejection(view, reason);
  const answer = { task_id: taskId, attempt, cascade_id };
  const saying = { projectId: project_id, by, eventId, requester };
  return services.inTurn(eventId, async () => {
    const earlier = key === undefined ? undefined : (await services.knowledge.project(project_id))?.rejections.get(eventId);
    if (earlier === undefined) await find(services, saidEvent(services, 'dats.task.rejected', taskId, data, saying), cascade_id);
    else await checkSame(services, project_id, earlier, data);
    return { answer, replayed: earlier !== undefined };
  });
};
