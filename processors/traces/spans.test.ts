import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, type EventType } from '../../schemas/index.js';
import { eventOf } from '../testing/index.js';
import { analysis, creation, output } from '../testing/pipeline-world.js';
import { spanIdOf, traceparentWithin } from './ids.js';
import type { Span } from './span.js';
import { openSpanFold, type SpanFold } from './spans.js';
import { edgesOf, faultsOfTrace, tracesOf } from './testing/trees.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const PLACE = { system: 'dats', partition: 3 };
const START_MS = Date.parse('2026-01-01T00:00:00.000Z');

/** Says events a second apart, each with the trace of its task. */
const history = (traceparent: string | null = `00-${TRACE}-${CALLER}-01`) => {
  const events: DatsEvent[] = [];
  const say = <T extends EventType>(type: T, data: DataOf<T>, change: Partial<DatsEvent> = {}): void => {
    const time = new Date(START_MS + events.length * 1_000).toISOString();
    events.push({
      ...eventOf(type, data, { time, id: derivedId('history', events.length) }),
      ...(traceparent === null ? {} : { traceparent }),
      ...change,
    } as DatsEvent);
  };
  const ready = (task_id: string, attempt: number): void =>
    say('dats.task.ready', {
      task_id,
      attempt,
      tier: 'small',
      domain: 'code',
      prompt_version: 'p@1',
      context: { created: 0, inputs: [] },
      due: '2026-01-01T01:00:00.000Z',
    });
  const started = (task_id: string, attempt: number): void =>
    say('dats.task.started', { task_id, attempt, node: 'n', worker: 'n:1', fence: '1-1' });
  const called = (task_id: string, attempt: number, change: Partial<DataOf<'dats.model.called'>> = {}): void =>
    say(
      'dats.model.called',
      {
        operation: 'chat',
        model: 'local',
        request_model: 'qwen',
        provider: 'ollama',
        purpose: 'generate',
        task_id,
        attempt,
        node: 'n',
        input_tokens: 11,
        output_tokens: 22,
        duration_ms: 500.5,
        outcome: 'ok',
        finish_reason: 'stop',
        response_model: 'qwen:latest',
        ...change,
      },
      { causationid: 'work' },
    );
  const verdict = (task_id: string, attempt: number, ok: boolean): void => {
    const data = { task_id, attempt, profile: 'syntax' as const, score: ok ? 1 : 0 };
    if (ok) say('dats.task.validated', { ...data, checks: [] });
    else
      say('dats.task.rejected', {
        ...data,
        checks: [{ name: 'syntax:python', status: 'failed', detail: 'a secret of the task', duration_ms: 1 }],
        reasons: ['a secret of the task'],
        retryable: true,
      });
  };
  const begun = (task_id: string): void => {
    say('dats.task.created', creation(task_id));
    say('dats.task.analyzed', analysis(task_id));
  };
  const attempt = (task_id: string, n: number, ok: boolean): void => {
    ready(task_id, n);
    started(task_id, n);
    say('dats.task.output.created', output({ task_id, attempt: n }));
    verdict(task_id, n, ok);
  };
  const completed = (task_id: string, n: number): void =>
    say('dats.task.completed', { task_id, attempt: n, provenance_id: 'v', execution_time_ms: 1 });
  return { events, say, ready, started, called, verdict, begun, attempt, completed };
};

const folded = (events: readonly DatsEvent[], fold: SpanFold = openSpanFold(PLACE)): Span[] =>
  events.flatMap((event, offset) => [...fold.take(event, offset)]);
const named = (spans: readonly Span[], name: string): Span => {
  const found = spans.filter((span) => span.name === name);
  expect(found, name).toHaveLength(1);
  return found[0]!;
};

describe('the spans of a task', () => {
  it('are one tree under the span of the caller', () => {
    const { events, begun, attempt, called, completed } = history();
    begun('t');
    attempt('t', 1, true);
    completed('t', 1);
    called('t', 1);
    const spans = folded(events);
    expect([...tracesOf(spans).keys()]).toEqual([TRACE]);
    expect(faultsOfTrace(spans, new Set([CALLER]))).toEqual([]);
    expect(edgesOf(spans)).toEqual(
      ['- > task', 'task > analyse', 'task > attempt 1', 'attempt 1 > generate', 'attempt 1 > check', 'generate > chat qwen'].sort(),
    );
    const task = named(spans, 'task');
    expect(task).toMatchObject({ parentSpanId: CALLER, startMs: START_MS, endMs: START_MS + 6_000 });
    expect(task.error).toBeUndefined();
    expect(task.attributes).toMatchObject({
      'dats.task.id': 't',
      'dats.project.id': 'project',
      'dats.task.state': 'completed',
      'dats.task.tier': 'small',
      'dats.task.domain': 'code',
      'dats.task.attempts': 1,
      'dats.correlation.id': 'correlation',
    });
  });

  it('say where in the log they began', () => {
    const { events, begun, attempt } = history();
    begun('t');
    attempt('t', 1, true);
    expect(named(folded(events), 'check').attributes).toMatchObject({
      'messaging.system': 'dats',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'dats.lifecycle',
      'messaging.destination.partition.id': '3',
      'messaging.kafka.offset': 4,
    });
  });

  it('begin a trace where the gateway exports no span of its own', () => {
    const id = '0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3';
    const { events, say } = history(`00-${TRACE}-8c5d6e7f8091a2b3-01`);
    say('dats.task.created', creation('t'), { id });
    say('dats.task.cancelled', { task_id: 't', reason: 'r', by: 'b' });
    const spans = folded(events);
    expect(named(spans, 'task').parentSpanId).toBeUndefined();
    expect(faultsOfTrace(spans)).toEqual([]);
  });

  it('have a trace of their correlation where no event has one', () => {
    const { events, begun, attempt, completed, called } = history(null);
    begun('t');
    attempt('t', 1, true);
    called('t', 1);
    completed('t', 1);
    const spans = folded(events);
    expect([...tracesOf(spans).keys()]).toHaveLength(1);
    expect(faultsOfTrace(spans)).toEqual([]);
    expect(spans[0]!.traceId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('are not made where the caller does not want the trace recorded', () => {
    const { events, begun, attempt, called, completed } = history(`00-${TRACE}-${CALLER}-00`);
    begun('t');
    attempt('t', 1, true);
    called('t', 1);
    completed('t', 1);
    expect(folded(events)).toEqual([]);
  });

  it('show each attempt of a task that was tried again, and nothing of what the checks saw', () => {
    const { events, say, begun, attempt, completed } = history();
    begun('t');
    attempt('t', 1, false);
    say('dats.task.retry.scheduled', {
      task_id: 't',
      attempt: 2,
      due: '2026-01-01T00:00:09.000Z',
      backoff_ms: 20,
      tier: 'medium',
      escalated: true,
      reason: 'rejected: a secret of the task',
    });
    attempt('t', 2, true);
    completed('t', 2);
    const spans = folded(events);
    expect(faultsOfTrace(spans, new Set([CALLER]))).toEqual([]);
    expect(named(spans, 'attempt 1')).toMatchObject({
      error: 'rejected',
      attributes: { 'dats.attempt.outcome': 'rejected', 'error.type': 'rejected' },
    });
    expect(named(spans, 'attempt 2').error).toBeUndefined();
    expect(named(spans, 'task').attributes['dats.task.attempts']).toBe(2);
    expect(named(spans, 'task').events.map(({ name }) => name)).toEqual(['retry scheduled']);
    expect(spans.find(({ name, error }) => name === 'check' && error !== undefined)!.attributes).toMatchObject({
      'dats.qa.failed_checks': ['syntax:python'],
      'dats.qa.score': 0,
    });
    expect(JSON.stringify(spans)).not.toContain('secret');
  });

  it('end with an error where the task failed, by its code alone', () => {
    const { events, say, begun, ready, started } = history();
    begun('t');
    ready('t', 1);
    started('t', 1);
    const error = { code: 'model_timeout', message: 'a secret of the task', retryable: false };
    say('dats.task.attempt.failed', { task_id: 't', attempt: 1, stage: 'generation', error });
    say('dats.task.failed', { task_id: 't', attempt: 1, error });
    const spans = folded(events);
    expect(faultsOfTrace(spans, new Set([CALLER]))).toEqual([]);
    for (const name of ['generate', 'attempt 1', 'task']) expect(named(spans, name).error, name).toBe('model_timeout');
    expect(named(spans, 'task').attributes).toMatchObject({ 'dats.task.state': 'failed', 'error.type': 'model_timeout' });
    expect(spans.some(({ name }) => name === 'check')).toBe(false);
    expect(JSON.stringify(spans)).not.toContain('secret');
  });

  it('are all ended by a cancel, wherever the task stands', () => {
    const whole = history();
    whole.begun('t');
    whole.attempt('t', 1, true);
    for (let cut = 1; cut < whole.events.length; cut++) {
      const { say, called, events } = history();
      events.push(...whole.events.slice(0, cut));
      called('t', 1);
      say('dats.task.cancelled', { task_id: 't', reason: 'r', by: 'b' });
      const spans = folded(events).filter(({ name }) => cut > 2 || !name.startsWith('chat'));
      expect(faultsOfTrace(spans, new Set([CALLER])), `after ${cut} events`).toEqual([]);
      expect(named(spans, 'task')).toMatchObject({ attributes: { 'dats.task.state': 'cancelled' } });
    }
  });

  it('that ran out of time say so, and what comes too late makes none', () => {
    const { events, say, begun, ready, started, verdict } = history();
    begun('t');
    ready('t', 1);
    started('t', 1);
    say('dats.task.timedout', { task_id: 't', attempt: 1, after_ms: 5 });
    say('dats.task.output.created', output({ task_id: 't', attempt: 1 }));
    verdict('t', 1, true);
    say('dats.task.failed', { task_id: 't', attempt: 1, error: { code: 'timeout', message: 'm', retryable: false } });
    verdict('t', 1, true);
    const spans = folded(events);
    expect(spans.map(({ name }) => name)).toEqual(['analyse', 'generate', 'attempt 1', 'task']);
    expect(named(spans, 'attempt 1').attributes['dats.attempt.outcome']).toBe('timedout');
  });

  it('of subtasks hang on the span of their parent', () => {
    const { events, say, attempt, completed } = history();
    const text = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
    say('dats.task.created', creation('p', { options: { decompose: true } }));
    say('dats.task.analyzed', analysis('p'));
    const children = ['a', 'b'].map((task_id) => ({ task_id, title: 't', description: text, depends_on: [] }));
    say('dats.task.decomposed', { task_id: 'p', children, planner: { name: 'list', version: '1' } });
    for (const id of ['a', 'b']) {
      say('dats.task.created', creation(id, { parent_id: 'p' }));
      say('dats.task.analyzed', analysis(id));
      attempt(id, 1, true);
      completed(id, 1);
    }
    completed('p', 0);
    const spans = folded(events);
    expect(faultsOfTrace(spans, new Set([CALLER]))).toEqual([]);
    expect(edgesOf(spans).filter((edge) => edge.startsWith('task > task'))).toHaveLength(2);
    expect(named(spans, 'decompose').attributes['dats.subtasks']).toBe(2);
  });

  it('are the same when they are made again, and when the fold goes on from what it committed', () => {
    const { events, begun, attempt, called, completed } = history();
    begun('t');
    attempt('t', 1, false);
    attempt('t', 2, true);
    called('t', 2);
    completed('t', 2);
    const whole = folded(events);
    expect(folded(events)).toEqual(whole);
    const saved = new Map<string, string>();
    const pieces: Span[] = [];
    events.forEach((event, offset) => {
      const fold = openSpanFold(PLACE, saved);
      pieces.push(...fold.take(event, offset));
      for (const [key, value] of fold.changes()) {
        if (value === null) saved.delete(key);
        else saved.set(key, value);
      }
    });
    expect(pieces).toEqual(whole);
    expect(saved.size).toBe(0);
  });

  it('are ended where they stand when too many tasks are open, and say so', () => {
    const { events, begun, ready, completed } = history();
    begun('old');
    ready('old', 1);
    begun('new');
    completed('old', 1);
    const spans = folded(events, openSpanFold(PLACE, [], 1));
    expect(spans.map(({ name }) => name)).toEqual(['analyse', 'generate', 'attempt 1', 'task', 'analyse']);
    expect(spans.filter(({ attributes }) => attributes['dats.trace.truncated'] === true)).toHaveLength(3);
    expect(faultsOfTrace(spans.slice(0, 4), new Set([CALLER]))).toEqual([]);
  });
});

describe('the generation of an attempt', () => {
  it('lasts as long as its answer took, also where it was announced with it', () => {
    const { events, say, begun, ready, started } = history();
    begun('t');
    ready('t', 1);
    started('t', 1);
    say('dats.task.output.created', { ...output({ task_id: 't', attempt: 1 }), duration_ms: 1_600 });
    expect(named(folded(events), 'generate')).toMatchObject({ startMs: START_MS + 2_400, endMs: START_MS + 4_000 });
  });

  it('says how often it was begun', () => {
    const { events, say, begun, ready, started } = history();
    begun('t');
    ready('t', 1);
    started('t', 1);
    started('t', 1);
    say('dats.task.output.created', output({ task_id: 't', attempt: 1 }));
    expect(named(folded(events), 'generate').attributes['dats.generate.starts']).toBe(2);
  });
});

describe('a model call', () => {
  it('is a client span with the names of the GenAI conventions, and nothing that was said', () => {
    const { events, called } = history();
    called('t', 2, { time_to_first_chunk_ms: 250, cost_usd: 0.01 });
    const span = named(folded(events), 'chat qwen');
    expect(span).toMatchObject({
      kind: 'client',
      traceId: TRACE,
      parentSpanId: spanIdOf('t', 'generate', 2),
      startMs: START_MS - 500.5,
      endMs: START_MS,
    });
    expect(span.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'ollama',
      'gen_ai.request.model': 'qwen',
      'gen_ai.response.model': 'qwen:latest',
      'gen_ai.usage.input_tokens': 11,
      'gen_ai.usage.output_tokens': 22,
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.response.time_to_first_chunk': 0.25,
      'dats.model.id': 'local',
      'dats.model.purpose': 'generate',
      'dats.model.cost_usd': 0.01,
      'dats.node': 'n',
      'dats.task.id': 't',
      'dats.attempt': 2,
    });
  });

  it('that failed says how, by its code', () => {
    const { events, called } = history();
    called('t', 1, { outcome: 'timeout', error_type: 'model_timeout' });
    expect(named(folded(events), 'chat qwen')).toMatchObject({ error: 'model_timeout', attributes: { 'error.type': 'model_timeout' } });
  });

  it.each([
    ['analyse', spanIdOf('t', 'analyse')],
    ['decompose', spanIdOf('t', 'decompose')],
  ] as const)('made to %s hangs on that stage', (purpose, parent) => {
    const { events, called } = history();
    called('t', 0, { purpose });
    expect(named(folded(events), 'chat qwen').parentSpanId).toBe(parent);
  });

  it('that no work of a task caused is a trace of its own', () => {
    const { events, say, called } = history(null);
    called('t', 1);
    const { task_id: _task, attempt: _attempt, ...data } = events[0]!.data as DataOf<'dats.model.called'>;
    events.length = 0;
    say('dats.model.called', data);
    const spans = folded(events);
    expect(spans).toHaveLength(1);
    expect(faultsOfTrace(spans)).toEqual([]);
  });
});

describe('the traceparent within a stage', () => {
  it('names the span that the stage will be, and keeps the decision of the caller', () => {
    const event = { correlationid: 'c', traceparent: `00-${TRACE}-${CALLER}-00` };
    expect(traceparentWithin(event, 't', 'generate', 2)).toBe(`00-${TRACE}-${spanIdOf('t', 'generate', 2)}-00`);
    expect(traceparentWithin({ correlationid: 'c' }, 't', 'generate', 2)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });
});
