// Histories that the deciders themselves wrote, with effects that answer at random: early, late, twice, never.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIFECYCLE, serversSchema } from '../../../schemas/index.js';
import type { Recorded } from '../../../streams/index.js';
import { fixed } from '../../policies.js';
import { schedulingDecider } from '../../scheduling/index.js';
import { analysis, creation, openWorld, output, type World } from '../../testing/pipeline-world.js';
import type { TaskContext } from './context.js';
import { openFold } from './fold.js';
import type { EventRow } from './row.js';

const rowsOf = (records: readonly Recorded[], contexts = new Map<string, TaskContext>()): EventRow[] => {
  const fold = openFold(contexts);
  return records.map((record) => fold.take(record));
};

describe('random histories', () => {
  const policy = {
    ...serversSchema.parse({ version: 1 }).scheduling,
    max_running_per_project: 2,
    backoff_base_ms: 100,
    timeout_s: 10,
    max_attempts: 3,
  };
  const TASKS = ['t0', 't1', 't2', 't3'];
  const step = fc.record({
    what: fc.constantFrom('created', 'started', 'output', 'validated', 'rejected', 'failed', 'cancel', 'late', 'time', 'nonsense'),
    task: fc.constantFrom(...TASKS),
    ms: fc.integer({ min: 0, max: 15_000 }),
  });
  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

  const attemptOf = (world: World, task: string): number =>
    Math.max(0, ...world.work.filter(({ data }) => data.task_id === task).map(({ data }) => data.attempt));
  const act = (world: World, { what, task, ms }: Step): void => {
    const newest = attemptOf(world, task);
    const attempt = what === 'late' ? newest - 1 : newest;
    const known = world.types(task).includes('dats.task.created');
    if (what === 'created' && !known) {
      world.append('dats.task.created', creation(task, { options: { qa_profile: ms % 2 === 0 ? 'none' : 'syntax' } }));
      world.append('dats.task.analyzed', analysis(task));
    } else if (what === 'time') world.now += ms;
    else if (what === 'nonsense')
      world.log.push({
        topic: LIFECYCLE,
        partition: 0,
        offset: world.log.length,
        key: 'p',
        headers: {},
        value: 'x',
        type: '',
        timestamp: world.now,
      });
    else if (what === 'cancel' && known) world.append('dats.task.cancel.requested', { task_id: task, reason: 'r', by: 'b' });
    else if (attempt >= 1) {
      const checks = { task_id: task, attempt, profile: 'syntax' as const, checks: [], score: 0 };
      if (what === 'started') world.append('dats.task.started', { task_id: task, attempt, node: 'n', worker: 'w', fence: 'f' });
      if (what === 'output' || what === 'late') world.append('dats.task.output.created', output({ task_id: task, attempt }));
      if (what === 'validated') world.append('dats.task.validated', checks);
      if (what === 'rejected') world.append('dats.task.rejected', { ...checks, reasons: ['r'], retryable: true });
      if (what === 'failed')
        world.append('dats.task.attempt.failed', {
          task_id: task,
          attempt,
          stage: 'generation',
          error: { code: 'c', message: 'm', retryable: true },
        });
    }
    if (what !== 'nonsense') world.step();
  };
  const historyOf = (steps: readonly Step[]): World => {
    const world = openWorld(() => [schedulingDecider(fixed(policy)) as never]);
    const nonsense: Step[] = [];
    for (const one of steps) {
      if (one.what === 'nonsense') nonsense.push(one);
      else act(world, one);
    }
    for (const one of nonsense) act(world, one);
    return world;
  };

  it('rows equal records, and each execution ends exactly once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = historyOf(steps);
        const contexts = new Map<string, TaskContext>();
        const rows = rowsOf(world.log, contexts);
        expect(rows.map(({ offset }) => offset)).toEqual(world.log.map(({ offset }) => offset));
        const begun = rows.filter(({ type }) => type === 'dats.task.ready').map(({ task_id, attempt }) => `${task_id}/${attempt}`);
        const ended = rows.filter((row) => row.execution_status !== undefined).map(({ task_id, attempt }) => `${task_id}/${attempt}`);
        expect(new Set(begun).size).toBe(begun.length);
        expect(new Set(ended).size).toBe(ended.length);
        const open = begun.filter((execution) => !ended.includes(execution));
        expect(begun).toEqual(expect.arrayContaining(ended));
        for (const execution of open) expect(contexts.get(execution.split('/')[0]!)?.attempt?.ended).toBe(false);
        for (const task of TASKS) expect(contexts.has(task)).toBe(world.types(task).length > 0 && world.terminals(task).length === 0);
      }),
      { numRuns: 200 },
    );
  });

  it('a fold that is ended anywhere and gone on with what it saved makes the same rows', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(fc.nat(), { maxLength: 4 }), (steps, cuts) => {
        const { log } = historyOf(steps);
        const saved = new Map<string, string>();
        const places = [...new Set(cuts.map((cut) => cut % (log.length + 1)))].sort((a, b) => a - b);
        const rows: EventRow[] = [];
        for (const [from, to] of [0, ...places].map((place, i) => [place, places[i] ?? log.length] as const)) {
          const fold = openFold(new Map([...saved].map(([task, context]) => [task, JSON.parse(context) as TaskContext])));
          rows.push(...log.slice(from, to).map((record) => fold.take(record)));
          for (const [task, context] of fold.changed()) {
            if (context === null) saved.delete(task);
            else saved.set(task, JSON.stringify(context));
          }
          expect(fold.changed().size).toBe(0);
        }
        expect(rows).toEqual(rowsOf(log));
      }),
      { numRuns: 200 },
    );
  });
});
