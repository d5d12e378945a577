// What the broker or the wire says, as Faults: by error code, never by message text.
//
// E1. `fenced`: another producer has our transactional id. E2. `retryable`: the same request may succeed later, perhaps at another broker.
// E3. Everything that no retry can mend is `fatal`, or `terminal` when it is about one record.
import { AuthenticationError, GenericError, MultipleErrors, NetworkError, ProtocolError, TimeoutError } from '@platformatic/kafka';
import { Fault, isFault } from '../../schemas/index.js';

const FENCED: ReadonlySet<string> = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'TRANSACTION_COORDINATOR_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
]);
const TOO_LARGE: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
/** What the broker does not mark as retriable, although a new connection, new metadata or a new epoch mends it. */
const MENDABLE: ReadonlySet<string> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
  'UNSTABLE_OFFSET_COMMIT',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_SERVER_ERROR',
  'OPERATION_NOT_ATTEMPTED',
]);

/** Names of the protocol errors in what a request was rejected with, such as `NOT_COORDINATOR`; empty for errors of the wire. */
export const protocolErrors = (error: unknown): readonly string[] => {
  if (error instanceof MultipleErrors) return error.errors.flatMap(protocolErrors);
  if (error instanceof ProtocolError) return [String((error as ProtocolError & { apiId: unknown }).apiId)];
  return [];
};

export const isProtocolError = (error: unknown, ...names: readonly string[]): boolean =>
  protocolErrors(error).some((name) => names.includes(name));

/** Did the request get no answer? Then nobody knows whether it was carried out. */
export const isWireError = (error: unknown): boolean =>
  (error instanceof NetworkError || error instanceof TimeoutError || error instanceof GenericError) && protocolErrors(error).length === 0;

const MOVED = [
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
];

/** May the request have gone to a broker that no longer leads the partition? Then the leader is to be looked up again; for other failures that is only delay. */
export const mayHaveMoved = (error: unknown): boolean => isWireError(error) || isProtocolError(error, ...MOVED);

const retriable = (error: unknown): boolean =>
  error instanceof ProtocolError && (error as ProtocolError & { canRetry: boolean }).canRetry === true;

const anyRetriable = (error: unknown): boolean => (error instanceof MultipleErrors ? error.errors.some(anyRetriable) : retriable(error));

/** The Fault that says what happened while `doing` something with Kafka. */
export const kafkaFault = (error: unknown, doing: string): Fault => {
  if (isFault(error)) return error;
  const names = protocolErrors(error);
  const said = names.length > 0 ? names.join(', ') : error instanceof Error ? error.message : String(error);
  const fault = (kind: Fault['kind'], code: string, what: string) => new Fault(kind, code, `${doing}: ${what} (${said})`, { cause: error });
  if (names.some((name) => FENCED.has(name))) return fault('fenced', 'fenced', 'this process no longer owns the partition');
  if (names.some((name) => TOO_LARGE.has(name)))
    return fault('terminal', 'record_too_large', 'the broker refuses a record of this size; raise max.message.bytes of the topic');
  if (error instanceof AuthenticationError) return fault('fatal', 'log_refused', 'Kafka refused the credentials');
  if (names.length === 0) return fault('retryable', 'log_unavailable', 'Kafka does not answer');
  if (names.some((name) => MENDABLE.has(name)) || anyRetriable(error))
    return fault('retryable', 'log_unavailable', 'Kafka cannot do it now');
  return fault('fatal', 'log_refused', 'Kafka refused');
};

export const unavailable = (doing: string, cause?: unknown): Fault =>
  new Fault(
    'retryable',
    'log_unavailable',
    `${doing}: Kafka does not answer; check that the brokers of servers.yaml (log.kafka.brokers) run`,
    {
      cause,
    },
  );
