// What cannot be processed goes to `dats.dlq` with the reason, and comes back the same way.
//
// D1. Key, original headers and value are untouched; what we know goes into headers of its own (schemas/dead-letter.ts), and nowhere else.
// D2. Ids are derived from group and position: the same record fails into the same dead letter and the same alert, however often.
// D3. `revive` gives the original record for its original topic, bytes and id the same, plus RETRIED_FROM.
import {
  type Attributes,
  attributesSchema,
  type DatsEvent,
  DLQ,
  dataschemaOf,
  derivedId,
  Fault,
  formatPosition,
  LETTER,
  RETRIED_FROM,
  TELEMETRY,
  TOPICS,
  type Topic,
} from '../../schemas/index.js';
import type { Outgoing, Recorded } from '../log.js';
import { outgoing } from '../record.js';

/** The longest message and stack, in UTF-16 units: the letter must fit where its record did. */
const MESSAGE_LIMIT = 1_000;
const STACK_LIMIT = 4_000;
/** What `decode` says of a record that holds no event it can read. */
const UNREADABLE: ReadonlySet<string> = new Set(['not_an_event', 'unknown_type', 'unknown_version', 'not_json', 'bad_event']);
const LETTER_HEADERS: ReadonlySet<string> = new Set(Object.values(LETTER));

export interface Failure {
  readonly group: string;
  readonly fault: Fault;
  /** How often it was run. */
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly firstFailedAt: number;
  readonly failedAt: number;
}

const rfc3339 = (ms: number): string => new Date(ms).toISOString();

const idOf = (record: Recorded, group: string): string => derivedId('dlq', group, record.topic, record.partition, record.offset);

export const deadLetter = (record: Recorded, failure: Failure): Outgoing => ({
  topic: DLQ,
  key: record.key,
  headers: {
    ...record.headers,
    [LETTER.id]: idOf(record, failure.group),
    [LETTER.topic]: record.topic,
    [LETTER.partition]: String(record.partition),
    [LETTER.offset]: String(record.offset),
    [LETTER.group]: failure.group,
    [LETTER.stage]: UNREADABLE.has(failure.fault.code) ? 'VALUE_CONVERTER' : 'TASK_PUT',
    [LETTER.code]: failure.fault.code,
    [LETTER.stack]: (failure.fault.stack ?? '').slice(0, STACK_LIMIT),
    [LETTER.message]: failure.fault.message.slice(0, MESSAGE_LIMIT),
    [LETTER.attempts]: String(failure.attempts),
    [LETTER.firstFailedAt]: rfc3339(failure.firstFailedAt),
    [LETTER.failedAt]: rfc3339(failure.failedAt),
    [LETTER.retryable]: String(failure.fault.kind === 'retryable'),
  },
  value: record.value,
});

/** The attribute of the record, where it has a valid one: a poisoned record may hold anything. */
const inherited = <K extends keyof Attributes>(record: Recorded, name: K): Attributes[K] | undefined => {
  const parsed = attributesSchema.shape[name].safeParse(record.headers[name]);
  return parsed.success ? (parsed.data as Attributes[K]) : undefined;
};

/** The alert that goes with the dead letter. */
export const deadLetterAlert = (record: Recorded, failure: Failure): Outgoing => {
  const id = idOf(record, failure.group);
  const source = `/groups/${failure.group}`.slice(0, 256);
  const where = `${record.topic} ${formatPosition(record)}`;
  const causationid = inherited(record, 'id');
  const traceparent = inherited(record, 'traceparent');
  const event: DatsEvent = {
    specversion: '1.0',
    id: derivedId(id, 'alert'),
    source,
    type: 'dats.ops.alert',
    time: rfc3339(failure.failedAt),
    subject: inherited(record, 'subject') ?? where,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf('dats.ops.alert'),
    projectid: inherited(record, 'projectid') ?? 'none',
    correlationid: inherited(record, 'correlationid') ?? id,
    ...(causationid === undefined ? {} : { causationid }),
    ...(traceparent === undefined ? {} : { traceparent }),
    actor: source.slice(0, 128),
    configversion: inherited(record, 'configversion') ?? 'none',
    data: {
      severity: 'warning',
      what: 'dead_letter',
      detail: `${where} failed in ${failure.group} after ${failure.attempts} attempt(s), ${failure.fault.code}: ${failure.fault.message.slice(0, MESSAGE_LIMIT)}; it is dead letter ${id}`,
    },
  };
  return outgoing(TELEMETRY, event, failure.group);
};

/** Does the record come from `deadLetter`? */
export const isDeadLetter = (record: Pick<Recorded, 'headers'>): boolean => record.headers[LETTER.id] !== undefined;

/**
 * The original record of a dead letter, to be appended to its topic once more.
 * @throws Fault terminal `not_a_dead_letter`
 */
export const revive = (record: Recorded): Outgoing => {
  const topic = record.headers[LETTER.topic];
  if (!isDeadLetter(record) || !TOPICS.includes(topic as Topic))
    throw new Fault(
      'terminal',
      'not_a_dead_letter',
      `${record.topic} ${formatPosition(record)} names no topic to go back to in its header ${LETTER.topic}; only records of ${DLQ} can be retried`,
    );
  const original = Object.entries(record.headers).filter(([name]) => !LETTER_HEADERS.has(name) && name !== RETRIED_FROM);
  return {
    topic: topic as Topic,
    key: record.key,
    headers: { ...Object.fromEntries(original), [RETRIED_FROM]: formatPosition(record) },
    value: record.value,
  };
};
