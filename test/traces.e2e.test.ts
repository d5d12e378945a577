// Traces of a whole node, as a collector sees them: one connected tree a task, whatever became of the collector or the node meanwhile.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CollectedSpan, type Collector, openCollector } from '../nodes/testing/collector.js';
import { edgesOf, faultsOfTrace, tracesOf } from '../processors/traces/testing/trees.js';
import { type Api, apiOf, isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { freePort, type NodeProcess, ready, startProcess, testFolder, tidy } from './support/node-process.js';

const FAR_MS = 30_000;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const SECRET = 'do-not-tell-this';
const RIGHT = { files: [{ path: 'data.json', language: 'json', content: '{"answer": 42}' }] };
const WRONG = { files: [{ path: 'data.json', language: 'json', content: `{"answer": ${SECRET}` }] };
const SCRIPT = JSON.stringify({
  version: 1,
  rules: [
    { match: { task: 'second-time' }, answers: [WRONG, RIGHT] },
    { match: { task: 'never' }, answers: [{ ...RIGHT, fail: 'refuse' }] },
    { match: { task: 'slow' }, answers: [{ ...RIGHT, latency_ms: 60_000 }] },
    { match: {}, answers: [RIGHT] },
  ],
});

let collector: Collector;
let node: NodeProcess;
let api: Api;
let start: () => Promise<void>;
beforeEach(async () => {
  // A fixed port of its own: it goes away and comes back.
  collector = await openCollector(await freePort());
  const port = await freePort();
  const folder = testFolder(
    {
      version: 1,
      node: { id: 'traced', data_dir: './data' },
      gateway: { port },
      log: { partitions: 2 },
      analytics: { kind: 'none' },
      telemetry: { otlp_url: collector.url },
      models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'] }],
      scheduling: { backoff_base_ms: 20, backoff_max_ms: 100 },
    },
    { 'script.json': SCRIPT },
  );
  api = apiOf(`http://127.0.0.1:${port}`);
  start = async () => {
    node = startProcess(folder.config, [], { DATS_LOG_LEVEL: 'warn' });
    await ready(api.url, node);
  };
  await start();
});
afterEach(async (context) => {
  await tidy(context);
  await collector.stop();
});

const body = (script: string, change: object = {}) => ({
  project_id: 'traced',
  description: `[script:${script}] ${SECRET}`,
  options: { qa_profile: 'syntax' },
  ...change,
});
const submitted = async (script: string, headers: Readonly<Record<string, string>> = {}, change: object = {}): Promise<string> => {
  const answer = await api.ask<{ task_id: string }>('POST', '/api/v1/tasks', body(script, change), headers);
  expect(answer.status).toBe(202);
  return answer.body.task_id;
};
const ended = (id: string) =>
  eventually(`the end of task ${id}`, FAR_MS, async () => {
    const view = await api.task(id);
    return isFinal(view) && view;
  });

/** The trace of a task, when all of it is there: its task's span, and the request that it began with. */
const traceOf = (taskId: string): Promise<readonly CollectedSpan[]> =>
  eventually(`the trace of task ${taskId}`, FAR_MS, () => {
    const own = collector.spans.find(({ name, attributes }) => name === 'task' && attributes['dats.task.id'] === taskId);
    const spans = own && tracesOf(collector.spans).get(own.traceId);
    const whole = spans?.some(({ kind }) => kind === SERVER) && spans.some(({ kind }) => kind === CLIENT);
    return whole === true && faultsOfTrace(linked(spans!), new Set([CALLER])).length === 0 && spans;
  });
const [SERVER, CLIENT] = [2, 3];
/** OTLP may write the parent of a root as an empty text. */
const linked = (spans: readonly CollectedSpan[]) => spans.map((span) => ({ ...span, parentSpanId: span.parentSpanId || undefined }));
const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan => spans.find((span) => span.name === name)!;

const FIRST_ATTEMPT = ['attempt 1 > check', 'attempt 1 > generate', 'generate > chat recorded', 'task > attempt 1'];
const PLAIN = ['- > POST /api/v1/tasks', 'POST /api/v1/tasks > task', 'task > analyse', ...FIRST_ATTEMPT].sort();

describe('a task', () => {
  it('is one connected trace, in the trace of its caller where there is one', async () => {
    const plain = await submitted('once');
    const called = await submitted('once', { traceparent: `00-${TRACE}-${CALLER}-01`, 'x-correlation-id': 'req-7' });
    const ignored = await submitted('once', { traceparent: `00-${TRACE}-${CALLER}-00` });
    for (const id of [plain, called, ignored]) expect((await ended(id)).state).toBe('completed');
    const [one, two] = [await traceOf(plain), await traceOf(called)];
    expect(edgesOf(linked(one))).toEqual(PLAIN);
    expect(edgesOf(linked(two))).toEqual(PLAIN);
    expect(one[0]!.traceId).not.toBe(TRACE);
    expect(two[0]!.traceId).toBe(TRACE);
    const request = named(two, 'POST /api/v1/tasks');
    expect(request).toMatchObject({
      parentSpanId: CALLER,
      attributes: { 'http.response.status_code': 202, 'dats.correlation.id': 'req-7' },
    });
    expect(named(two, 'task')).toMatchObject({
      parentSpanId: request.spanId,
      attributes: {
        'dats.task.id': called,
        'dats.task.state': 'completed',
        'dats.correlation.id': 'req-7',
        'messaging.system': 'dats',
        'messaging.destination.name': 'dats.lifecycle',
      },
      resource: { 'service.name': 'dats', 'service.instance.id': `traced:${node.pid}` },
    });
    expect(named(two, 'chat recorded').attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'scripted',
      'gen_ai.request.model': 'recorded',
      'gen_ai.response.finish_reasons': ['stop'],
    });
    // The caller of the third did not want its trace recorded.
    expect(collector.spans.some(({ attributes }) => attributes['dats.task.id'] === ignored)).toBe(false);
  });

  it('that is tried again, fails, is split or is cancelled is one connected trace too, and none says what was asked', async () => {
    const again = await submitted('second-time');
    const never = await submitted('never', {}, { options: { max_attempts: 2 } });
    const split = await submitted(
      'once',
      {},
      {
        description: `Do both:\n\n1. write a ${SECRET}\n2. write b ${SECRET}\n`,
        options: { decompose: true },
      },
    );
    const slow = await submitted('slow');
    await eventually('a running task', FAR_MS, async () => (await api.task(slow)).state === 'running');
    await api.cancel(slow);
    expect((await ended(again)).attempt).toBe(2);
    expect((await ended(never)).state).toBe('failed');
    expect((await ended(split)).state).toBe('completed');
    expect((await ended(slow)).state).toBe('cancelled');

    const retried = await traceOf(again);
    const second = FIRST_ATTEMPT.map((edge) => edge.replace('attempt 1', 'attempt 2'));
    expect(edgesOf(linked(retried))).toEqual([...PLAIN, ...second].sort());
    expect(named(retried, 'attempt 1')).toMatchObject({ status: { code: 2, message: 'rejected' } });
    expect(named(retried, 'attempt 2').status.code).toBe(0);
    expect(named(retried, 'task').attributes['dats.task.attempts']).toBe(2);

    const failed = await traceOf(never);
    expect(named(failed, 'task')).toMatchObject({
      status: { code: 2 },
      attributes: { 'dats.task.state': 'failed', 'error.type': 'model_refused' },
    });
    expect(failed.filter(({ name, status }) => name === 'chat recorded' && status.code === 2)).toHaveLength(2);

    const parent = await traceOf(split);
    expect(edgesOf(linked(parent)).filter((edge) => edge === 'task > task')).toHaveLength(2);
    expect(named(await traceOf(slow), 'task').attributes['dats.task.state']).toBe('cancelled');
    // One tree a task, and nothing else: the requests that cancelled are traces of their own.
    for (const [id, spans] of tracesOf(collector.spans)) expect(faultsOfTrace(linked(spans)), id).toEqual([]);
    expect(JSON.stringify(collector.spans)).not.toContain(SECRET);
  });
});

describe('a collector that is away', () => {
  it('misses nothing: neither what happened meanwhile, nor across a restart of the node', async () => {
    const before = await submitted('once');
    await traceOf(before);
    await collector.stop();
    const during = [await submitted('once'), await submitted('second-time', { traceparent: `00-${TRACE}-${CALLER}-01` })];
    for (const id of during) expect((await ended(id)).state).toBe('completed');
    await eventually('a word about it', FAR_MS, () => node.errors().includes('collector_unreachable'));
    // It is told once, not at every try.
    expect(node.errors().split('collector_unreachable').length - 1).toBeLessThanOrEqual(2);
    await collector.start();
    for (const id of during) await traceOf(id);

    await collector.stop();
    const late = await submitted('slow', { traceparent: `00-${'1'.repeat(32)}-${CALLER}-01` });
    await eventually('a running task', FAR_MS, async () => (await api.task(late)).state === 'running');
    await node.kill('SIGKILL');
    await start();
    await api.cancel(late);
    await ended(late);
    await collector.start();
    // The request's own span died with the process: everything else is in the log.
    const spans = await eventually('the trace of the late task', FAR_MS, () => {
      const trace = tracesOf(collector.spans).get('1'.repeat(32));
      return trace?.some(({ name }) => name === 'task') && trace;
    });
    expect(edgesOf(linked(spans)).filter((edge) => !edge.includes('chat'))).toEqual(
      ['- > task', 'attempt 1 > generate', 'task > analyse', 'task > attempt 1'].sort(),
    );
    for (const [id, trace] of tracesOf(collector.spans))
      if (id !== '1'.repeat(32)) expect(faultsOfTrace(linked(trace), new Set([CALLER])), id).toEqual([]);
  });
});
