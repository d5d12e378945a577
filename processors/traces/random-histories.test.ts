// Any order of any events: whatever is said about a task, in whatever order and how often, its trace is one tree once it has ended.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, type EventType } from '../../schemas/index.js';
import { eventOf } from '../testing/index.js';
import { analysis, creation, output } from '../testing/pipeline-world.js';
import type { Span } from './span.js';
import { openSpanFold } from './spans.js';
import { faultsOfTrace, tracesOf } from './testing/trees.js';

const TASKS = 3;
const PLACE = { system: 'dats', partition: 0 };
const START_MS = Date.parse('2026-01-01T00:00:00.000Z');
const CALLER = 'b7ad6b7169203331';
const traceOf = (task: number): string => String(task + 1).padStart(32, '0');
const failure = { code: 'model_error', message: 'm', retryable: true };

/** What may be said about an attempt of a task. */
const SAYINGS: Readonly<Record<string, (task_id: string, attempt: number) => readonly [EventType, unknown]>> = {
  created: (task_id) => ['dats.task.created', creation(task_id, { options: { decompose: true } })],
  analyzed: (task_id) => ['dats.task.analyzed', analysis(task_id)],
  decomposed: (task_id) => [
    'dats.task.decomposed',
    {
      task_id,
      children: [{ task_id: 'x', title: 't', description: { sha256: '0', bytes: 1, content: 'x' }, depends_on: [] }],
      planner: { name: 'list', version: '1' },
    },
  ],
  queued: (task_id, attempt) => ['dats.task.queued', { task_id, attempt, reason: 'project_limit', position: 1 }],
  ready: (task_id, attempt) => [
    'dats.task.ready',
    {
      task_id,
      attempt,
      tier: 'small',
      domain: 'code',
      prompt_version: 'p',
      context: { created: 0, inputs: [] },
      due: '2026-01-02T00:00:00.000Z',
    },
  ],
  started: (task_id, attempt) => ['dats.task.started', { task_id, attempt, node: 'n', worker: 'w', fence: '1' }],
  output: (task_id, attempt) => ['dats.task.output.created', output({ task_id, attempt })],
  generationFailed: (task_id, attempt) => ['dats.task.attempt.failed', { task_id, attempt, stage: 'generation', error: failure }],
  checkFailed: (task_id, attempt) => ['dats.task.attempt.failed', { task_id, attempt, stage: 'qa', error: failure }],
  analysisFailed: (task_id) => ['dats.task.attempt.failed', { task_id, attempt: 0, stage: 'analysis', error: failure }],
  planFailed: (task_id) => ['dats.task.attempt.failed', { task_id, attempt: 0, stage: 'decomposition', error: failure }],
  validated: (task_id, attempt) => ['dats.task.validated', { task_id, attempt, profile: 'none', checks: [], score: 1 }],
  rejected: (task_id, attempt) => [
    'dats.task.rejected',
    { task_id, attempt, profile: 'none', checks: [], score: 0, reasons: ['r'], retryable: true },
  ],
  timedout: (task_id, attempt) => ['dats.task.timedout', { task_id, attempt, after_ms: 1 }],
  called: (task_id, attempt) => [
    'dats.model.called',
    {
      operation: 'chat',
      model: 'm',
      request_model: 'm',
      provider: 'p',
      purpose: 'generate',
      task_id,
      attempt,
      node: 'n',
      input_tokens: 1,
      output_tokens: 1,
      duration_ms: 1,
      outcome: 'ok',
    },
  ],
  completed: (task_id, attempt) => ['dats.task.completed', { task_id, attempt, provenance_id: 'v', execution_time_ms: 1 }],
  failed: (task_id, attempt) => ['dats.task.failed', { task_id, attempt, error: failure }],
};
const ENDS: ReadonlySet<string> = new Set(['completed', 'failed']);

const saying = fc.record({
  task: fc.nat(TASKS - 1),
  what: fc.constantFrom(...Object.keys(SAYINGS)),
  attempt: fc.integer({ min: 1, max: 3 }),
});

/** The events, every task created first and ended last. Two things never happen, and are left out: a task that is created anew after its end, and a call for an attempt that was never ready. */
const eventsOf = (sayings: readonly { readonly task: number; readonly what: string; readonly attempt: number }[]): DatsEvent[] => {
  const every = (what: string) => Array.from({ length: TASKS }, (_, task) => ({ task, what, attempt: 1 }));
  const newest = new Array<number>(TASKS).fill(0);
  const readied = Array.from({ length: TASKS }, () => new Set<number>());
  const ended = new Set<number>();
  const events: DatsEvent[] = [];
  for (const { task, what, attempt } of [...every('created'), ...sayings, ...every('completed')]) {
    if (what === 'created' && ended.has(task)) continue;
    if (what === 'called' && !readied[task]!.has(attempt)) continue;
    if (what === 'ready' && !ended.has(task) && attempt > newest[task]!) {
      newest[task] = attempt;
      readied[task]!.add(attempt);
    }
    if (ENDS.has(what)) ended.add(task);
    const [type, data] = SAYINGS[what]!(`task-${task}`, attempt);
    const n = events.length;
    events.push({
      ...eventOf(type, data as DataOf<typeof type>, { id: derivedId('random', n), time: new Date(START_MS + n * 10).toISOString() }),
      traceparent: `00-${traceOf(task)}-${CALLER}-01`,
      causationid: 'cause',
    } as DatsEvent);
  }
  return events;
};

it('every trace is one tree, and the same wherever the fold was interrupted', () => {
  fc.assert(
    fc.property(fc.array(saying, { maxLength: 60 }), fc.nat(10), (sayings, every) => {
      const events = eventsOf(sayings);
      const fold = openSpanFold(PLACE);
      const spans = events.flatMap((event, offset) => [...fold.take(event, offset)]);
      const traces = tracesOf(spans);
      expect([...traces.keys()].sort()).toEqual(Array.from({ length: TASKS }, (_, task) => traceOf(task)));
      for (const trace of traces.values()) expect(faultsOfTrace(trace, new Set([CALLER]))).toEqual([]);
      // No span is made twice.
      expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
      for (const { startMs, endMs } of spans) expect(endMs).toBeGreaterThanOrEqual(startMs);

      const saved = new Map<string, string>();
      const pieces: Span[] = [];
      let interrupted = openSpanFold(PLACE);
      events.forEach((event, offset) => {
        pieces.push(...interrupted.take(event, offset));
        if (offset % (every + 1) !== 0) return;
        for (const [key, value] of interrupted.changes())
          if (value === null) saved.delete(key);
          else saved.set(key, value);
        interrupted = openSpanFold(PLACE, saved);
      });
      expect(pieces).toEqual(spans);
    }),
    { numRuns: 300 },
  );
});
