import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Span } from '../processors/traces/index.js';
import type { Fault } from '../schemas/index.js';
import { openOtlp, tracesUrl } from './otlp.js';
import { type Collector, openCollector } from './testing/collector.js';

const SPAN: Span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: '00f067aa0ba902b7',
  parentSpanId: 'b7ad6b7169203331',
  name: 'chat qwen',
  kind: 'client',
  startMs: 1_700_000_000_000.25,
  endMs: 1_700_000_000_999.999,
  attributes: { text: 'a', whole: 7, half: 0.5, yes: true, list: ['x', 'y'] },
  events: [{ name: 'queued', atMs: 1_700_000_000_001, attributes: { position: 1 } }],
  error: 'model_timeout',
};

let collector: Collector;
let problems: Fault[];
beforeEach(async () => {
  collector = await openCollector();
  problems = [];
});
afterEach(() => collector.stop());

const sender = (change: { readonly url?: string; readonly headers?: Record<string, string> } = {}) =>
  openOtlp({
    url: collector.url,
    resource: { 'service.name': 'dats', 'service.instance.id': 'node:1' },
    version: '9.9.9',
    onProblem: (fault) => problems.push(fault),
    ...change,
  });
const never = new AbortController().signal;
const faultOf = async (sending: Promise<void>): Promise<Fault> => {
  try {
    await sending;
  } catch (error) {
    return error as Fault;
  }
  throw new Error('it was taken');
};

describe('a span over OTLP', () => {
  it('comes as it was made', async () => {
    const { parentSpanId: _none, error: _error, ...root } = SPAN;
    await sender()([SPAN, { ...root, spanId: '1'.repeat(16), kind: 'server' }], never);
    const [first, second] = collector.spans;
    expect(first).toMatchObject({
      traceId: SPAN.traceId,
      spanId: SPAN.spanId,
      parentSpanId: SPAN.parentSpanId,
      name: 'chat qwen',
      kind: 3,
      startTimeUnixNano: '1700000000000250000',
      attributes: SPAN.attributes,
      status: { code: 2, message: 'model_timeout' },
      resource: { 'service.name': 'dats', 'service.instance.id': 'node:1' },
    });
    expect(Number(BigInt(first!.endTimeUnixNano) - 1_700_000_000_000_000_000n)).toBeCloseTo(999_999_000, -3);
    expect(first!.events.map(({ name }) => name)).toEqual(['queued']);
    expect(second).toMatchObject({ kind: 2, status: { code: 0 } });
    expect(second!.parentSpanId ?? '').toBe('');
    expect(collector.requests).toMatchObject([
      { path: '/v1/traces', headers: { 'content-type': 'application/json', 'user-agent': 'dats/9.9.9' } },
    ]);
  });

  it('goes with the headers that it is given, and with the credentials of the address', async () => {
    const url = collector.url.replace('http://', 'http://me:se%3Acret@');
    await sender({ url, headers: { 'x-key': 'k' } })([SPAN], never);
    expect(collector.requests[0]!.headers).toMatchObject({
      'x-key': 'k',
      authorization: `Basic ${Buffer.from('me:se:cret').toString('base64')}`,
    });
    await collector.stop();
    const fault = await faultOf(sender({ url })([SPAN], never));
    expect(`${fault.message} ${fault.stack} ${String(fault.cause)}`).not.toMatch(/se%3Acret|se:cret/);
  });
});

describe('a collector', () => {
  it.each([400, 413, 422])('that answers %i refuses these spans', async (status) => {
    collector.answer = { status };
    expect(await faultOf(sender()([SPAN], never))).toMatchObject({ kind: 'terminal', code: 'spans_refused' });
  });

  it.each([301, 401, 404, 429, 500, 503])('that answers %i is to be asked again', async (status) => {
    collector.answer = { status, headers: { 'retry-after': '7', location: '/elsewhere' } };
    expect(await faultOf(sender()([SPAN], never))).toMatchObject({ kind: 'retryable', code: 'collector_unavailable', retryAfterMs: 7_000 });
  });

  it('that is not there is to be asked again', async () => {
    await collector.stop();
    const fault = await faultOf(sender()([SPAN], never));
    expect(fault).toMatchObject({ kind: 'retryable', code: 'collector_unreachable' });
    expect(fault.message).toContain('ECONNREFUSED');
  });

  it('that took only a part says so, and nothing is sent again', async () => {
    collector.answer = { status: 200, body: '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}' };
    await sender()([SPAN], never);
    expect(problems.map(({ message }) => message)).toEqual([`the collector ${collector.url} left out 2 spans: too old`]);
  });

  it.each(['', 'OK', '{"partialSuccess":{}}', 'null'])('that answers %j took all', async (body) => {
    collector.answer = { status: 200, body };
    await sender()([SPAN], never);
    expect(problems).toEqual([]);
  });

  it('is not waited for when it is all to end', async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(sender()([SPAN], stop.signal)).rejects.toMatchObject({ kind: 'retryable' });
  });
});

it.each([
  ['http://h:4318', 'http://h:4318/v1/traces'],
  ['http://h:4318/', 'http://h:4318/v1/traces'],
  ['https://h/otlp', 'https://h/otlp/v1/traces'],
  ['https://h/otlp/v1/traces', 'https://h/otlp/v1/traces'],
  ['https://h/?tenant=a', 'https://h/v1/traces?tenant=a'],
])('traces of %s go to %s', (url, target) => expect(tracesUrl(url)).toBe(target));
