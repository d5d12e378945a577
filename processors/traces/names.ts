// The names of attributes, in one place: OpenTelemetry's where it has one, else under `dats.`. Its GenAI and messaging conventions are not stable yet.

export const GEN_AI = {
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  responseModel: 'gen_ai.response.model',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  finishReasons: 'gen_ai.response.finish_reasons',
  /** Seconds. */
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
} as const;

export const MESSAGING = {
  system: 'messaging.system',
  operation: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  offset: 'messaging.kafka.offset',
} as const;

export const ERROR_TYPE = 'error.type';

export const DATS = {
  task: 'dats.task.id',
  parent: 'dats.task.parent.id',
  project: 'dats.project.id',
  correlation: 'dats.correlation.id',
  state: 'dats.task.state',
  tier: 'dats.task.tier',
  domain: 'dats.task.domain',
  attempts: 'dats.task.attempts',
  attempt: 'dats.attempt',
  outcome: 'dats.attempt.outcome',
  model: 'dats.model.id',
  purpose: 'dats.model.purpose',
  costUsd: 'dats.model.cost_usd',
  node: 'dats.node',
  worker: 'dats.worker',
  /** How often the work of an attempt was begun: more than once where a worker was lost. 0: it never was. */
  starts: 'dats.generate.starts',
  artifacts: 'dats.artifacts',
  profile: 'dats.qa.profile',
  score: 'dats.qa.score',
  failedChecks: 'dats.qa.failed_checks',
  subtasks: 'dats.subtasks',
  /** True on a span that was ended before its task was, because too many tasks were open. */
  truncated: 'dats.trace.truncated',
} as const;
