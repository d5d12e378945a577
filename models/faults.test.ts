import { describe, expect, it } from 'vitest';
import { codeOfStatus, LONGEST_RETRY_AFTER_MS, modelFault, retryAfterMsOf } from './faults.js';
import { MODEL_FAULTS } from './runner.js';

describe('model faults', () => {
  it.each([
    [429, undefined, 'model_overloaded'],
    [503, undefined, 'model_overloaded'],
    [529, undefined, 'model_overloaded'],
    [500, undefined, 'model_error'],
    [502, undefined, 'model_error'],
    [404, undefined, 'model_missing'],
    [408, undefined, 'model_timeout'],
    [400, undefined, 'model_rejected'],
    [401, 'invalid_api_key', 'model_rejected'],
    [400, 'content_filter', 'model_refused'],
    [400, 'context_length_exceeded', 'model_context'],
    [400, 'exceed_context_size_error', 'model_context'],
    [413, undefined, 'model_context'],
    [307, undefined, 'model_unreachable'],
    [407, undefined, 'model_unreachable'],
    [402, undefined, 'model_overloaded'],
    [400, 'model_not_found', 'model_missing'],
  ] as const)('come from status %s and code %s as %s', (status, code, fault) => {
    expect(codeOfStatus(status, code)).toBe(fault);
  });

  it('are terminal exactly where no other try helps', () => {
    const terminal = MODEL_FAULTS.filter((code) => modelFault('m', code).kind === 'terminal');
    expect(terminal).toEqual(['model_rejected', 'model_missing', 'model_not_allowed', 'call_limit', 'budget_exceeded']);
  });

  it.each([
    [{ 'retry-after': '7' }, 7_000],
    [{ 'retry-after': '0.25' }, 250],
    [{ 'retry-after': 'Sat, 21 Nov 2026 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Fri, 20 Nov 2026 00:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '123', 'retry-after': '9' }, 123],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
    [{ 'retry-after': '999999' }, LONGEST_RETRY_AFTER_MS],
  ])('read %j as %s ms', (headers, ms) => {
    expect(retryAfterMsOf(headers as Record<string, string>, Date.parse('2026-11-21T00:00:00Z'))).toBe(ms);
  });
});
