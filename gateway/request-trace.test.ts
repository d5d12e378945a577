// Requests as spans: what is told of them, and what the events of their tasks carry.
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApp, type GatewayApp } from './app.js';
import type { TracedRequest } from './deps.js';
import { formatTraceparent, openRequestTrace, traceContextOf } from './middleware/trace.js';
import { openWorld, type World } from './testing/world.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const HEADER = `00-${TRACE}-${CALLER}-01`;

let world: World;
let app: GatewayApp;
let told: TracedRequest[];
let lines: Record<string, unknown>[];
beforeEach(async () => {
  world = await openWorld();
  told = [];
  lines = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  app = createApp({ ...world.deps, logger, onRequest: (request) => told.push(request) });
});
afterEach(async () => {
  app.close();
  await world.close();
});

const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
  app.request(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });

describe('a request that is a span', () => {
  test('is a child of its caller, and the parent of what its task does', async () => {
    const answer = await post('/api/v1/tasks', { description: 'a' }, { traceparent: HEADER, 'x-correlation-id': 'req-1' });
    const [event] = await world.events();
    expect(told).toHaveLength(1);
    const [{ spanId, startMs, endMs, ...request }] = told as [TracedRequest];
    expect(request).toEqual({
      traceId: TRACE,
      parentSpanId: CALLER,
      sampled: true,
      correlationId: 'req-1',
      method: 'POST',
      route: '/api/v1/tasks',
      status: answer.status,
    });
    expect(endMs).toBeGreaterThanOrEqual(startMs);
    expect(event?.traceparent).toBe(`00-${TRACE}-${spanId}-01`);
    expect(lines.find(({ msg }) => msg === 'request')).toMatchObject({ correlation_id: 'req-1', trace_id: TRACE });
  });

  test('begins a trace where nobody called it in one', async () => {
    await post('/api/v1/tasks', { description: 'a' });
    await post('/api/v1/tasks', { description: 'b' }, { traceparent: 'garbage' });
    const events = await world.events();
    expect(told.map(({ parentSpanId }) => parentSpanId)).toEqual([undefined, undefined]);
    expect(new Set(told.map(({ traceId }) => traceId)).size).toBe(2);
    expect(events.map(({ traceparent }) => traceparent)).toEqual(told.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`));
  });

  test('says so when it was refused', async () => {
    await post('/api/v1/tasks', { description: 7 }, { traceparent: HEADER });
    expect(told).toMatchObject([{ status: 422, traceId: TRACE }]);
  });

  test('keeps the decision of a caller who does not record', async () => {
    await post('/api/v1/tasks', { description: 'a' }, { traceparent: `00-${TRACE}-${CALLER}-00` });
    const [event] = await world.events();
    expect(told).toMatchObject([{ sampled: false }]);
    expect(event?.traceparent).toBe(`00-${TRACE}-${told[0]!.spanId}-00`);
  });

  test('does not look, only says, is none', async () => {
    await app.request('/api/v1/tasks');
    await app.request('/health/live');
    expect(told).toEqual([]);
  });
});

describe('a batch', () => {
  const batch = [{ description: 'a' }, { description: 'b' }];

  test('joins the trace of its caller with all its tasks', async () => {
    await post('/api/v1/tasks:batch', batch, { traceparent: HEADER });
    const events = await world.events();
    expect(told).toMatchObject([{ route: '/api/v1/tasks:batch', traceId: TRACE, parentSpanId: CALLER }]);
    expect(events.map(({ traceparent }) => traceparent)).toEqual(batch.map(() => `00-${TRACE}-${told[0]!.spanId}-01`));
  });

  test('without a caller lets each task begin its own', async () => {
    await post('/api/v1/tasks:batch', batch);
    const traces = (await world.events()).map(({ traceparent }) => traceparent!.slice(3, 35));
    expect(new Set([...traces, told[0]!.traceId]).size).toBe(3);
  });
});

test('without a listener the caller itself is the parent of the task, and the log lines know the trace', async () => {
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const quiet = createApp({ ...world.deps, logger });
  await quiet.request('/api/v1/tasks', {
    method: 'POST',
    body: '{"description":"a"}',
    headers: { 'content-type': 'application/json', traceparent: HEADER },
  });
  quiet.close();
  expect((await world.events())[0]?.traceparent).toBe(HEADER);
  expect(lines.at(-1)).toMatchObject({ trace_id: TRACE });
});

describe('traceparent', () => {
  test.each([
    ['upper case', `00-${TRACE.toUpperCase()}-${CALLER}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${CALLER}-01`],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['the version that is none', `ff-${TRACE}-${CALLER}-01`],
    ['a field too many', `${HEADER}-more`],
    ['too short', `00-${TRACE}-${CALLER}`],
    ['blanks around it', ` ${HEADER}`],
    ['nothing', ''],
  ])('with %s is ignored', (_, header) => {
    expect(traceContextOf(header)).toBeUndefined();
    const { parentSpanId, traceId } = openRequestTrace(header);
    expect([parentSpanId, traceId === TRACE]).toEqual([undefined, false]);
  });

  test('of a later version is read as far as it is known', () => {
    expect(formatTraceparent(traceContextOf(`cc-${TRACE}-${CALLER}-09-what-the-future-holds`)!)).toBe(HEADER);
  });

  test('is made valid', () => {
    for (let i = 0; i < 100; i++) expect(traceContextOf(formatTraceparent(openRequestTrace(null)))).toBeDefined();
  });
});
