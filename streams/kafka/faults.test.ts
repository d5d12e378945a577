// What the broker or the wire says, as Faults.
import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError, ResponseError, TimeoutError } from '@platformatic/kafka';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../schemas/index.js';
import { isProtocolError, isWireError, kafkaFault, protocolErrors, unavailable } from './faults.js';

const said = (name: string): ProtocolError => new ProtocolError(name);
const shown = (error: unknown) => {
  const { kind, code } = kafkaFault(error, 'testing');
  return `${kind} ${code}`;
};

describe('a Fault follows from the code', () => {
  test.each([
    ['INVALID_PRODUCER_EPOCH', 'fenced fenced'],
    ['PRODUCER_FENCED', 'fenced fenced'],
    ['INVALID_PRODUCER_ID_MAPPING', 'fenced fenced'],
    ['MESSAGE_TOO_LARGE', 'terminal record_too_large'],
    ['RECORD_LIST_TOO_LARGE', 'terminal record_too_large'],
    ['NOT_LEADER_OR_FOLLOWER', 'retryable log_unavailable'],
    ['NOT_ENOUGH_REPLICAS', 'retryable log_unavailable'],
    ['REQUEST_TIMED_OUT', 'retryable log_unavailable'],
    ['NOT_COORDINATOR', 'retryable log_unavailable'],
    ['COORDINATOR_LOAD_IN_PROGRESS', 'retryable log_unavailable'],
    ['CONCURRENT_TRANSACTIONS', 'retryable log_unavailable'],
    ['UNSTABLE_OFFSET_COMMIT', 'retryable log_unavailable'],
    ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'retryable log_unavailable'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'retryable log_unavailable'],
    ['UNKNOWN_SERVER_ERROR', 'retryable log_unavailable'],
    ['TOPIC_AUTHORIZATION_FAILED', 'fatal log_refused'],
    ['GROUP_AUTHORIZATION_FAILED', 'fatal log_refused'],
    ['UNSUPPORTED_VERSION', 'fatal log_refused'],
    ['INVALID_TXN_STATE', 'fatal log_refused'],
  ])('%s: %s', (name, expected) => {
    expect(shown(said(name))).toBe(expected);
    expect(shown(new MultipleErrors('several', [said(name)]))).toBe(expected);
  });

  test('and not from the text', () => {
    expect(shown(new NetworkError('INVALID_PRODUCER_EPOCH MESSAGE_TOO_LARGE'))).toBe('retryable log_unavailable');
  });

  test('the worst of several counts: fenced, then too large, then what may come right', () => {
    const several = (...names: readonly string[]) => shown(new MultipleErrors('several', [new MultipleErrors('inner', names.map(said))]));
    expect(several('NOT_LEADER_OR_FOLLOWER', 'MESSAGE_TOO_LARGE', 'INVALID_PRODUCER_EPOCH')).toBe('fenced fenced');
    expect(several('NOT_LEADER_OR_FOLLOWER', 'MESSAGE_TOO_LARGE')).toBe('terminal record_too_large');
    expect(several('OPERATION_NOT_ATTEMPTED', 'COORDINATOR_LOAD_IN_PROGRESS')).toBe('retryable log_unavailable');
  });

  test('as in the answer of a broker', () => {
    const answer = new ResponseError(0, 9, { '/responses/0/partition_responses/0': [6, null] as never }, {});
    expect(protocolErrors(answer)).toEqual(['NOT_LEADER_OR_FOLLOWER']);
    expect(isProtocolError(answer, 'NOT_COORDINATOR', 'NOT_LEADER_OR_FOLLOWER')).toBe(true);
    expect(isProtocolError(answer, 'NOT_COORDINATOR')).toBe(false);
    expect(shown(answer)).toBe('retryable log_unavailable');
  });
});

describe('without an answer', () => {
  test('nobody knows, and it may be tried again', () => {
    for (const error of [new NetworkError('gone'), new TimeoutError('late')]) {
      expect(isWireError(error)).toBe(true);
      expect(shown(error)).toBe('retryable log_unavailable');
    }
    expect(isWireError(said('NOT_COORDINATOR'))).toBe(false);
    expect(isWireError(new Error('not of the client'))).toBe(false);
  });

  test('what nobody classified is retryable', () => {
    expect(shown(new TypeError('a bug'))).toBe('retryable log_unavailable');
    expect(shown('thrown text')).toBe('retryable log_unavailable');
  });

  test('refused credentials are fatal', () => {
    expect(shown(new AuthenticationError('no'))).toBe('fatal log_refused');
  });
});

test('a Fault stays what it is, and every other says what was done, what was said and why', () => {
  const fault = new Fault('terminal', 'mine', 'said before');
  expect(kafkaFault(fault, 'testing')).toBe(fault);
  const error = said('TOPIC_AUTHORIZATION_FAILED');
  const made = kafkaFault(error, 'reading');
  expect(made.message).toContain('reading');
  expect(made.message).toContain('TOPIC_AUTHORIZATION_FAILED');
  expect(made.cause).toBe(error);
  expect(unavailable('reading', error)).toMatchObject({ kind: 'retryable', code: 'log_unavailable', cause: error });
});
