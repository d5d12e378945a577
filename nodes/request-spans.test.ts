import { describe, expect, it } from 'vitest';
import type { TracedRequest } from '../gateway/index.js';
import type { Delivery, Span } from '../processors/traces/index.js';
import type { Fault } from '../schemas/index.js';
import { openRequestSpans, requestSpan, WAITING_LIMIT } from './request-spans.js';
import { headersIn, idsOf } from './tracing.js';

const request = (change: Partial<TracedRequest> = {}): TracedRequest => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: '00f067aa0ba902b7',
  sampled: true,
  correlationId: 'req-1',
  method: 'POST',
  route: '/api/v1/tasks',
  status: 202,
  startMs: 10,
  endMs: 15,
  ...change,
});

describe('the span of a request', () => {
  it('has the names of the HTTP conventions', () => {
    expect(requestSpan(request({ parentSpanId: 'b7ad6b7169203331' }))).toEqual({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: '00f067aa0ba902b7',
      parentSpanId: 'b7ad6b7169203331',
      name: 'POST /api/v1/tasks',
      kind: 'server',
      startMs: 10,
      endMs: 15,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/api/v1/tasks',
        'http.response.status_code': 202,
        'dats.correlation.id': 'req-1',
      },
      events: [],
    });
  });

  it('is an error only where the failure is ours', () => {
    expect(requestSpan(request({ status: 422 })).error).toBeUndefined();
    expect(requestSpan(request({ status: 503 }))).toMatchObject({ error: '503', attributes: { 'error.type': '503' } });
  });
});

describe('spans of requests', () => {
  const world = (deliver: Delivery['deliver']) => {
    const problems: Fault[] = [];
    return { problems, spans: openRequestSpans({ deliver }, (fault) => problems.push(fault)) };
  };

  it('are all delivered before it is closed, but for those that nobody wants recorded', async () => {
    const taken: Span[] = [];
    const { spans } = world(async (batch) => {
      taken.push(...batch);
      return true;
    });
    for (let i = 0; i < 1_000; i++) spans.take(request({ startMs: i, endMs: i, sampled: i % 2 === 0 }));
    await spans.close();
    expect(taken.map(({ startMs }) => startMs)).toEqual(Array.from({ length: 500 }, (_, i) => i * 2));
    spans.take(request());
    await spans.close();
    expect(taken).toHaveLength(500);
  });

  it('are bounded: the oldest go, and it is told once', async () => {
    const taken: Span[] = [];
    const { spans, problems } = world(async (batch) => {
      taken.push(...batch);
      return true;
    });
    for (let i = 0; i < WAITING_LIMIT + 5; i++) spans.take(request({ startMs: i }));
    await spans.close();
    expect(taken).toHaveLength(WAITING_LIMIT);
    expect(taken[0]!.startMs).toBe(5);
    expect(problems.map(({ code }) => code)).toEqual(['request_spans_dropped']);
  });

  it('do not hold up the end of a node whose collector is away', async () => {
    let aborted = false;
    const deliver: Delivery['deliver'] = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          aborted = true;
          resolve(false);
        }),
      );
    const spans = openRequestSpans({ deliver }, () => {}, 1);
    spans.take(request());
    await spans.close();
    expect(aborted).toBe(true);
  });
});

describe('headers for the collector', () => {
  it('are read as OpenTelemetry writes them', () => {
    expect(headersIn('Authorization=Basic%20YTpi, x-tenant = one ,,')).toEqual({ authorization: 'Basic YTpi', 'x-tenant': 'one' });
    expect(headersIn('')).toEqual({});
  });

  it.each(['no-value-%E0%A4%A', 'a=%E0%A4%A', '=v', 'sp ace=v', 'x=1%0A2'])(
    'that cannot be read are refused without repeating them: %s',
    (text) => {
      expect(() => headersIn(text)).toThrow(expect.objectContaining({ kind: 'fatal', code: 'bad_configuration' }));
    },
  );
});

it('a log line about a record names what it belongs to', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  expect(idsOf({ headers: { correlationid: 'c', traceparent } })).toEqual({
    correlation_id: 'c',
    trace_id: '0af7651916cd43dd8448eb211c80319c',
  });
  expect(idsOf({ headers: {} })).toEqual({});
  expect(idsOf(undefined)).toEqual({});
});
