// Every problem that an answer can be: its status, its title, and what it means. The slug of its address is the code with "-" for "_".

import { NODE_PROBLEMS } from './node-problem-kinds.js';

export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** What it means and what to do, for GET /problems/<slug>. */
  readonly explain: string;
  /** Seconds for Retry-After where the fault names none. */
  readonly retryAfterS?: number;
}

/** Fault code -> problem. The slug is the code with "-" for "_". */
export const PROBLEMS = {
  malformed_json: {
    status: 400,
    title: 'Malformed JSON',
    explain: 'The body is not JSON in UTF-8. The detail says where parsing stopped.',
  },
  invalid_parameter: {
    status: 400,
    title: 'Invalid parameter',
    explain: 'A path, query or header parameter does not fit its schema. `errors` names each.',
  },
  malformed_request: {
    status: 400,
    title: 'Malformed request',
    explain: 'The request is not valid HTTP, or its target or Host header is not valid.',
  },
  not_found: { status: 404, title: 'Not found', explain: 'There is nothing at this address. /openapi.json lists every route.' },
  task_not_found: { status: 404, title: 'Task not found', explain: 'No task has this id. Ids come from the answer to POST /api/v1/tasks.' },
  project_not_found: {
    status: 404,
    title: 'Project not found',
    explain: 'The project has no task yet. A project begins with its first task.',
  },
  artifact_not_found: {
    status: 404,
    title: 'Artifact not found',
    explain: 'No artifact has this id. Ids are listed in `artifacts` of GET /api/v1/tasks/{task_id}.',
  },
  dead_letter_not_found: {
    status: 404,
    title: 'Dead letter not found',
    explain: 'No dead letter has this id. GET /api/v1/dlq lists them.',
  },
  provenance_not_found: {
    status: 404,
    title: 'Provenance not found',
    explain: 'History has no execution, artifact or task with this id. GET /api/v1/provenance lists executions.',
  },
  provenance_pending: {
    status: 404,
    title: 'Provenance not recorded yet',
    explain:
      'The task or artifact is known, but no execution of it is recorded: an attempt is recorded when it has ended, and history is up to some seconds behind the log. Try again after Retry-After.',
    retryAfterS: 1,
  },
  cascade_not_found: {
    status: 404,
    title: 'Cascade not found',
    explain:
      'No cascade has this id. GET /api/v1/cascades lists them. One that an alert or a rejection begins is there as soon as the deciders have begun it, which takes milliseconds.',
  },
  rollback_not_found: {
    status: 404,
    title: 'Rollback not found',
    explain: 'No rollback has this id. GET /api/v1/rollbacks lists them.',
  },
  event_not_found: {
    status: 404,
    title: 'Event not found',
    explain:
      'The project has no event there. Positions are `id` of its event streams and `position` of its state; ids of events are in the events themselves.',
  },
  proof_pending: {
    status: 404,
    title: 'Not covered by a checkpoint yet',
    explain:
      'The event is there, but newer than the newest signed checkpoint: one is signed at the latest audit.every_s seconds after the first event that none covers. Try again after Retry-After.',
    retryAfterS: 5,
  },
  config_key_not_found: {
    status: 404,
    title: 'Setting not found',
    explain: 'There is no setting of this name. GET /api/v1/config lists them.',
  },
  config_version_not_found: {
    status: 404,
    title: 'Version not found',
    explain: 'The setting has no such version yet. GET /api/v1/config/{key}/versions lists those it has.',
  },
  stats_not_found: { status: 404, title: 'Question not found', explain: 'There is no such statistic. GET /api/v1/stats lists them.' },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    explain: 'The address exists but not for this method. The Allow header lists those it has.',
  },
  dead_letter_resolved: {
    status: 409,
    title: 'Dead letter already resolved',
    explain: 'It was retried or discarded before; each can be done once.',
  },
  rollback_not_over: {
    status: 409,
    title: 'Not over yet',
    explain:
      'A cascade, or a rollback, can be rolled back when it is over. GET /api/v1/cascades/{cascade_id} or /api/v1/rollbacks/{rollback_id} says how far it is.',
  },
  task_not_completed: {
    status: 409,
    title: 'Task not completed',
    explain: 'Only what was accepted can be rejected afterwards. An open task can be cancelled; a task that failed was never accepted.',
  },
  artifact_not_accepted: {
    status: 409,
    title: 'Artifact not accepted',
    explain: 'Only what was accepted is attested: the task is not completed, or another attempt was accepted.',
  },
  artifact_tainted: {
    status: 409,
    title: 'Artifact known to be bad',
    explain:
      'The artifact is suspect, tainted or taken back, so nothing is signed for it without a word. With `tainted=true` it is attested all the same, and every statement says how it stands.',
  },
  history_tampered: {
    status: 409,
    title: 'History is not what was signed',
    explain: 'Nothing can be proven of it. GET /api/v1/audit/verify names what is wrong.',
  },
  migration_changed: {
    status: 409,
    title: 'Migration changed',
    explain:
      'A file of deploy/clickhouse was applied in another form before. Put the change into a new file, or make all tables anew: POST /api/v1/views/rebuild.',
  },
  precondition_failed: {
    status: 412,
    title: 'Changed meanwhile',
    explain:
      'Another change was first. Read the setting again, make the change from its newest value, and send it with the new ETag in If-Match.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    explain: 'The body is above gateway.body_limit_bytes of servers.yaml. Send fewer or smaller `files`.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    explain: 'Bodies are application/json; a batch may also be application/x-ndjson.',
  },
  validation_failed: {
    status: 422,
    title: 'Validation failed',
    explain: 'The body is JSON but does not fit. `errors` names each place by JSON Pointer and says what is expected.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency key reused',
    explain:
      'The same Idempotency-Key was used before, by the same submitter in the same project, with another body. Use a new key for a new task.',
  },
  no_plan: {
    status: 422,
    title: 'No plan',
    explain:
      'No model made a plan that can be used, and the description holds no list of steps. The detail says why. Write the steps as a list.',
  },
  query_refused: {
    status: 422,
    title: 'Query refused',
    explain:
      'Not a statement that is run here: one statement that only reads, in the SQL of ClickHouse. The detail says what is wrong with it.',
  },
  query_limit: {
    status: 422,
    title: 'Query above its limits',
    explain:
      'It took more time, memory or rows than analytics.query of servers.yaml allows. Ask for less: a LIMIT, a shorter span of time, one project; or aggregate.',
  },
  precondition_required: {
    status: 428,
    title: 'If-Match needed',
    explain:
      'A change names the version that it was made from, so that nobody overwrites what he has not seen: If-Match with the ETag of GET. `If-Match: *` takes whatever is there.',
  },
  too_many_open_tasks: {
    status: 429,
    title: 'Too many open tasks',
    explain:
      'The project has as many open tasks as gateway.max_open_tasks_per_project allows. Wait for some to finish; Retry-After says how long.',
    retryAfterS: 10,
  },
  rate_limited: {
    status: 429,
    title: 'Too many submissions',
    explain:
      'The project submits faster than gateway.rate_limit allows. Retry-After says when the same request can be taken; nothing of it was taken now. Repeating a submission that was taken, under its Idempotency-Key, is not counted.',
    retryAfterS: 1,
  },
  budget_exceeded: {
    status: 429,
    title: 'Budget used up',
    explain:
      'A budget of the project, of the user (`submitted_by`) or of the agent does not allow what a model may use for this; the detail says which. Retry-After is there where it begins anew by itself; else raise it under `quotas`, or reset the account: POST /api/v1/quotas/{kind}/{id}/reset.',
  },
  quota_reached: {
    status: 429,
    title: 'Quota reached',
    explain:
      'As many requests a minute, or at a time, as the quota of the project, the user or the agent allows, or what is left of a budget is set aside for others. Try again after Retry-After.',
    retryAfterS: 1,
  },
  client_gone: { status: 499, title: 'Client closed the request', explain: 'The connection ended before the answer was ready.' },
  internal: { status: 500, title: 'Internal error', explain: 'A fault of this server. The log holds the cause under the correlation id.' },
  event_missing: {
    status: 500,
    title: 'Event missing',
    explain: 'A view points at an event that the log does not hold: drop the views, they rebuild from the log.',
  },
  content_missing: {
    status: 500,
    title: 'Content missing',
    explain: 'The content-addressed store does not hold the bytes that an event refers to. Restore the artifacts folder.',
  },
  content_corrupt: {
    status: 500,
    title: 'Content corrupt',
    explain: 'Stored bytes do not have the digest they are stored under. Restore the artifacts folder.',
  },
  analytics_off: {
    status: 501,
    title: 'No history here',
    explain:
      'This installation keeps no history to ask: analytics.kind of servers.yaml is none, or is auto where the log is not on this disk. Set it to embedded, or to server with analytics.url, and start again; all of it is brought from the log.',
  },
  signing_off: {
    status: 501,
    title: 'No signing key here',
    explain: 'This process has no key to sign with: audit.key_file of servers.yaml names where it is kept.',
  },
  audit_off: {
    status: 501,
    title: 'No audit here',
    explain: 'This gateway does not know the key that signs checkpoints. It has to run where the data folder with audit.key_file is.',
  },
  no_engine: {
    status: 501,
    title: 'No history engine',
    explain:
      'The embedded ClickHouse engine has no build for this machine. Name a server: analytics.kind: server and analytics.url of servers.yaml.',
  },
  model_error: {
    status: 502,
    title: 'Model error',
    explain: 'The model server failed. Try again, or name another model in options.model.',
    retryAfterS: 2,
  },
  model_garbage: {
    status: 502,
    title: 'Model answered garbage',
    explain: 'The model server broke its protocol. Try again, or name another model.',
    retryAfterS: 2,
  },
  model_refused: {
    status: 502,
    title: 'Model refused',
    explain: 'The model declined to answer. Name another model in options.model.',
    retryAfterS: 2,
  },
  model_rejected: {
    status: 502,
    title: 'Model rejected the request',
    explain: 'The model server refused the request as such: key, context length or parameters.',
  },
  model_missing: {
    status: 502,
    title: 'Model missing',
    explain: 'The model server does not have this model. GET /api/v1/models says how each is.',
  },
  model_unreachable: {
    status: 503,
    title: 'Model unreachable',
    explain: 'The model server does not answer. GET /api/v1/models says how each is.',
    retryAfterS: 5,
  },
  model_overloaded: {
    status: 503,
    title: 'Model overloaded',
    explain: 'The model server is busy. Try again after Retry-After.',
    retryAfterS: 5,
  },
  no_model: {
    status: 503,
    title: 'No model',
    explain: 'No configured model that fits is healthy. GET /api/v1/models says how each is.',
    retryAfterS: 5,
  },
  not_ready: {
    status: 503,
    title: 'Not ready',
    explain: 'A dependency that is required to take tasks is down; `errors` names it.',
    retryAfterS: 5,
  },
  unavailable: {
    status: 503,
    title: 'Unavailable',
    explain:
      'Something the request needs does not work or does not answer in time. Try again; the detail says whether it may be done already, and an Idempotency-Key makes a repeated submission safe.',
    retryAfterS: 5,
  },
  log_unavailable: {
    status: 503,
    title: 'Log unavailable',
    explain:
      'The server that holds the log does not answer. A submission may be written all the same: repeat it with the same Idempotency-Key, and it is taken once.',
    retryAfterS: 5,
  },
  views_unavailable: {
    status: 503,
    title: 'Views unavailable',
    explain:
      'The server that holds states and lists does not answer. Tasks are still taken and done, and event streams go on; what needs a look at a state has to wait.',
    retryAfterS: 2,
  },
  views_behind: {
    status: 503,
    title: 'Views behind',
    explain:
      'States and lists are being rebuilt from the log, or are too far behind it to tell yet. Nothing is lost; try again after Retry-After.',
    retryAfterS: 5,
  },
  history_loading: {
    status: 503,
    title: 'History is being read',
    explain:
      'This process reads what it has to know of cascades and dependencies for the first time; the detail says how far it is. It goes on by itself: try again after Retry-After.',
    retryAfterS: 2,
  },
  analytics_unavailable: {
    status: 503,
    title: 'History unavailable',
    explain: 'The ClickHouse that holds history does not answer, or is too busy. Tasks go on without it; try again after Retry-After.',
    retryAfterS: 2,
  },
  analytics_missing: {
    status: 503,
    title: 'History not set up',
    explain:
      'The tables of history are not all there: they are being made, or rebuilt. If this lasts: dats migrate, or POST /api/v1/views/migrate.',
    retryAfterS: 5,
  },
  log_closed: {
    status: 503,
    title: 'Shutting down',
    explain: 'The log is closed: this process is ending. Try again at once, another one takes over.',
    retryAfterS: 1,
  },
  model_timeout: {
    status: 504,
    title: 'Model timeout',
    explain: 'The model did not answer in time. Try again, or name a faster model.',
    retryAfterS: 5,
  },
  disk_full: {
    status: 507,
    title: 'Disk full',
    explain: 'The log or the artifact store has no room. Nothing was taken; free space and try again.',
    retryAfterS: 30,
  },
  ...NODE_PROBLEMS,
} as const satisfies Record<string, ProblemKind>;
export type ProblemCode = keyof typeof PROBLEMS;
