// The headers that a dead letter has beside those of its record: Kafka Connect's names where Connect has one, so that existing tools read them.
// Source: Kafka Connect, DeadLetterQueueReporter and ConnectorConfig (errors.deadletterqueue.context.headers.enable).

/** What we say of a dead letter -> its header. */
export const LETTER = {
  id: 'dlq.id',
  topic: '__connect.errors.topic',
  partition: '__connect.errors.partition',
  offset: '__connect.errors.offset',
  group: '__connect.errors.connector.name',
  stage: '__connect.errors.stage',
  code: '__connect.errors.exception.class.name',
  message: '__connect.errors.exception.message',
  stack: '__connect.errors.exception.stacktrace',
  attempts: 'x-attempt',
  firstFailedAt: 'x-first-failure-time',
  failedAt: 'x-failure-time',
  retryable: 'x-retryable',
} as const;

/** On a record that came back from the dead letters: `p<partition>-<offset>` of its letter. */
export const RETRIED_FROM = 'dlq.retried_from';

/** What each header says, for the AsyncAPI document. */
export const LETTER_MEANINGS: Readonly<Record<(typeof LETTER)[keyof typeof LETTER], string>> = {
  [LETTER.id]: 'The id of the dead letter: the same record failing in the same group gives the same id.',
  [LETTER.topic]: 'Where the record stands: topic.',
  [LETTER.partition]: 'Where the record stands: partition.',
  [LETTER.offset]: 'Where the record stands: offset.',
  [LETTER.group]: 'The consumer group that failed.',
  [LETTER.stage]: "Connect's name for what was being done: VALUE_CONVERTER (it could not be read) or TASK_PUT (it could not be processed).",
  [LETTER.code]: 'The stable code of the failure, such as `bad_event`.',
  [LETTER.message]: 'What happened, at most 1000 characters.',
  [LETTER.stack]: 'Where in the code, at most 4000 characters.',
  [LETTER.attempts]: 'How often the record was tried.',
  [LETTER.firstFailedAt]: 'When it failed first, RFC 3339 UTC.',
  [LETTER.failedAt]: 'When it failed last, RFC 3339 UTC.',
  [LETTER.retryable]: '`true` where trying again later may help.',
};
