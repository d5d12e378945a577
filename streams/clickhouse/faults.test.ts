import { describe, expect, it } from 'vitest';
import { Fault } from '../../schemas/index.js';
import { analyticsFault, askFault } from './faults.js';

const clickhouse = (code: number | string, message = 'Something'): Error => Object.assign(new Error(message), { code: String(code) });

describe('errors of ClickHouse', () => {
  it.each([
    ['no connection', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 'retryable', 'analytics_unavailable'],
    ['something without a code', new Error('Timeout error.'), 'retryable', 'analytics_unavailable'],
    ['something that is no error', 'what', 'retryable', 'analytics_unavailable'],
    ['TIMEOUT_EXCEEDED', clickhouse(159), 'retryable', 'analytics_unavailable'],
    ['TOO_MANY_SIMULTANEOUS_QUERIES', clickhouse(202), 'retryable', 'analytics_unavailable'],
    ['MEMORY_LIMIT_EXCEEDED', clickhouse(241), 'retryable', 'analytics_unavailable'],
    ['NOT_ENOUGH_SPACE', clickhouse(243), 'retryable', 'analytics_unavailable'],
    ['TOO_MANY_PARTS', clickhouse(252), 'retryable', 'analytics_unavailable'],
    ['UNKNOWN_TABLE', clickhouse(60), 'retryable', 'analytics_missing'],
    ['UNKNOWN_DATABASE', clickhouse(81), 'retryable', 'analytics_missing'],
    ['SYNTAX_ERROR', clickhouse(62), 'terminal', 'analytics_refused'],
    ['AUTHENTICATION_FAILED', clickhouse(516), 'terminal', 'analytics_refused'],
    ['CANNOT_PARSE_ESCAPE_SEQUENCE', clickhouse(25), 'terminal', 'analytics_refused'],
  ])('%s, of a statement of ours', (_, error, kind, code) => expect(analyticsFault(error)).toMatchObject({ kind, code, cause: error }));

  it.each([
    ['no connection', new Error('socket hang up'), 'retryable', 'analytics_unavailable'],
    ['too long', clickhouse(159), 'terminal', 'query_limit'],
    ['too many rows', clickhouse(396), 'terminal', 'query_limit'],
    ['too much memory', clickhouse(241), 'terminal', 'query_limit'],
    ['a slip', clickhouse(62), 'terminal', 'query_refused'],
    ['READONLY', clickhouse(164), 'terminal', 'query_refused'],
    ['a table that is not there', clickhouse(60), 'terminal', 'query_refused'],
  ])('%s, of a statement of somebody else', (_, error, kind, code) => expect(askFault(error)).toMatchObject({ kind, code }));

  it('a Fault stays what it is', () => {
    const fault = new Fault('fenced', 'x', 'y');
    expect([analyticsFault(fault), askFault(fault)]).toEqual([fault, fault]);
  });

  it('say the first line, and not without end', () => {
    expect(analyticsFault(clickhouse(62, 'Syntax error\nstack'))).toMatchObject({ message: 'ClickHouse refused: Syntax error' });
    expect(analyticsFault(clickhouse(62, 'x'.repeat(5_000))).message.length).toBeLessThan(700);
  });
});
