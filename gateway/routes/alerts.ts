// What scanners and people find out afterwards: security alerts, rejections of what was accepted.
import { rejectTaskAnswerSchema, rejectTaskSchema, securityAlertAnswerSchema, securityAlertSchema } from '../../schemas/index.js';
import { alert, inHistory, KEY_HEADER, KNOWLEDGE_PROBLEMS, reject } from '../cascade/index.js';
import { keyOf } from '../idempotency-key.js';
import { STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { CASCADE_EXAMPLES } from './cascade-examples.js';
import { BODY_PROBLEMS, REPLAYED } from './taint.js';
import { requesterOf, taskParams } from './tasks.js';

const securityAlert = route({
  method: 'POST',
  path: '/api/v1/security-alerts',
  operationId: 'reportSecurityAlert',
  traced: true,
  patient: true,
  tag: 'cascades',
  summary: 'Report that an artifact, or what a task made, is a danger',
  description:
    'Where it is severe enough (`cascade.on_security_alert` of servers.yaml) it begins a cascade; the answer waits up to two seconds until that has begun.',
  headers: KEY_HEADER,
  body: { schema: securityAlertSchema, example: CASCADE_EXAMPLES.alert },
  success: [
    {
      status: STATUS.accepted,
      description: 'The alert is on disk.',
      schema: securityAlertAnswerSchema,
      example: CASCADE_EXAMPLES.alertAnswer,
      headers: REPLAYED,
    },
  ],
  problems: [...BODY_PROBLEMS, 'artifact_not_found', 'task_not_found', 'idempotency_key_reused', ...KNOWLEDGE_PROBLEMS, 'disk_full'],
  handle: async (call, services) => {
    const key = keyOf(call);
    const { answer, replayed } = await inHistory(services, () => alert(services, call.body, requesterOf(call), key));
    const response = json(STATUS.accepted, answer);
    if (replayed) response.headers['idempotent-replayed'] = 'true';
    return response;
  },
});

const rejectTask = route({
  method: 'POST',
  path: '/api/v1/tasks/{task_id}/reject',
  operationId: 'rejectTask',
  traced: true,
  patient: true,
  tag: 'tasks',
  summary: 'Reject what a task made, after it was accepted',
  description:
    'The task stays completed; by `cascade.on_late_rejection` of servers.yaml a cascade begins from what it made, and the answer waits up to two seconds until that has begun.',
  params: taskParams,
  headers: KEY_HEADER,
  body: { schema: rejectTaskSchema, example: CASCADE_EXAMPLES.reject },
  success: [
    {
      status: STATUS.accepted,
      description: 'The rejection is on disk.',
      schema: rejectTaskAnswerSchema,
      example: CASCADE_EXAMPLES.rejectAnswer,
      headers: REPLAYED,
    },
  ],
  problems: [...BODY_PROBLEMS, 'task_not_found', 'task_not_completed', 'idempotency_key_reused', ...KNOWLEDGE_PROBLEMS, 'disk_full'],
  handle: async (call, services) => {
    const key = keyOf(call);
    const { answer, replayed } = await inHistory(services, () => reject(services, call.params.task_id, call.body, requesterOf(call), key));
    const response = json(STATUS.accepted, answer);
    if (replayed) response.headers['idempotent-replayed'] = 'true';
    return response;
  },
});

export const alertRoutes = [securityAlert, rejectTask];
