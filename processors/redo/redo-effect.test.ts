import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, EVENTS, Fault, type FileContent, type Work } from '../../schemas/index.js';
import { inlineContent } from '../content.js';
import { effectContextOf, eventOf } from '../testing/index.js';
import { redoEffect } from './index.js';

const REF = { artifact_id: 'a', task_id: 'd', path: 'a.py', sha256: '0'.repeat(64), at: 4 };
const file = (path: string, text: string): FileContent => ({ path, ...inlineContent(text)! });
const created = (more: Partial<DataOf<'dats.task.created'>> = {}) =>
  eventOf('dats.task.created', {
    task_id: 'old',
    description: inlineContent('Write it')!,
    priority: 'high',
    options: { qa_profile: 'tests', tier: 'medium', max_attempts: 3, decompose: true },
    depends_on: ['gone'],
    inputs: [],
    files: [file('own.py', 'own')],
    tests: { language: 'python', code: inlineContent('assert True')!, entry_point: 'f' },
    submitted_by: 'ada',
    ...more,
  });
const work = (context: Partial<Work['context']> = {}, time = '2026-01-01T00:00:00.000Z') =>
  eventOf(
    'dats.work.requested',
    {
      task_id: 'old',
      kind: 'redo',
      attempt: 0,
      tier: 'small',
      domain: 'code',
      prompt_version: 'generate@1',
      context: { created: 1, inputs: [], ...context },
      redo: { rollback_id: 'r', new_task_id: 'new', depends_on: ['d'], inputs: [REF] },
      due: '2026-01-02T00:00:00.000Z',
    },
    { time },
  );
const ports = { models: undefined as never, artifacts: undefined as never, checks: undefined as never };

const redo = async (events: Record<number, DatsEvent>, asked = work()): Promise<DataOf<'dats.task.created'>> => {
  const [draft, ...more] = await redoEffect.run(asked, ports, effectContextOf(events));
  if (draft?.type !== 'dats.task.created') throw new Error(`unexpected ${draft?.type}`);
  expect(more).toEqual([]);
  expect([draft.subject, draft.id]).toEqual(['new', derivedId('r', 'redo', 'old')]);
  expect(EVENTS[draft.type][2].parse(draft.data)).toEqual(draft.data);
  return draft.data;
};

describe('a task that is done anew', () => {
  it('asks for what it asked for, on the inputs that stand now', async () => {
    const old = created();
    expect(await redo({ 1: old })).toEqual({
      ...old.data,
      task_id: 'new',
      depends_on: ['d'],
      inputs: [REF],
      redo: { rollback_id: 'r', task_id: 'old' },
    });
  });

  it('has no tests where it had none', async () => {
    const { tests: _tests, ...data } = created().data;
    expect(await redo({ 1: eventOf('dats.task.created', data) })).not.toHaveProperty('tests');
  });

  it('says the same when it is said again', async () => {
    expect(await redo({ 1: created() })).toEqual(await redo({ 1: created() }));
  });

  it('that was a subtask stands on its own: with the files of its parent, its own win, and it is not split', async () => {
    const parent = created({ task_id: 'parent', files: [file('own.py', "the parent's"), file('shared.py', 'shared')] });
    const anew = await redo({ 1: created({ parent_id: 'parent' }), 0: parent }, work({ parent: 0 }));
    expect(anew).not.toHaveProperty('parent_id');
    expect(anew.options).toEqual({ qa_profile: 'tests', tier: 'medium', max_attempts: 3 });
    expect(anew.files).toEqual([file('own.py', 'own'), file('shared.py', 'shared')]);
  });

  it.each([
    ['is dropped when it had passed at the decision', '2026-01-01T00:00:00Z', false],
    ['is kept when it had not', '2026-01-01T01:00:00+00:30', true],
  ])('has a deadline that %s', async (_, deadline, kept) => {
    const anew = await redo({ 1: created({ options: { deadline } }) }, work({}, '2026-01-01T00:00:00.000Z'));
    expect(anew.options).toEqual(kept ? { deadline } : {});
  });
});

describe('a redo that cannot be made', () => {
  const many = (task_id: string, count: number) =>
    created({ task_id, parent_id: 'parent', files: Array.from({ length: count }, (_, i) => file(`${task_id}/${i}.py`, '')) });

  it.each<[string, Record<number, DatsEvent>, ReturnType<typeof work>, string]>([
    ['the event creates another task', { 1: created({ task_id: 'another' }) }, work(), 'spec_missing'],
    ['the event creates no task', { 1: work() }, work(), 'spec_missing'],
    ['there is no such event', {}, work(), 'event_missing'],
    ['it has more files than a task can bring', { 1: many('old', 150), 0: many('parent', 51) }, work({ parent: 0 }), 'too_many_files'],
  ])('is refused where %s', async (_, events, asked, code) => {
    await expect(redoEffect.run(asked, ports, effectContextOf(events))).rejects.toMatchObject({ kind: 'terminal', code });
  });

  it('says so of the old task, in place of the creation', () => {
    const [draft, ...more] = redoEffect.givenUp!(work(), new Fault('terminal', 'event_missing', 'gone'));
    if (draft?.type !== 'dats.task.attempt.failed') throw new Error(`unexpected ${draft?.type}`);
    expect(more).toEqual([]);
    expect([draft.subject, draft.id]).toEqual(['old', derivedId('r', 'redo', 'old')]);
    expect(EVENTS[draft.type][1].parse(draft.data)).toEqual({
      task_id: 'old',
      attempt: 0,
      stage: 'analysis',
      error: { code: 'event_missing', message: 'gone', retryable: false },
    });
  });

  it('is refused when it does not say what the new task is', async () => {
    const { redo: _none, ...data } = work().data;
    const nameless = eventOf('dats.work.requested', data);
    await expect(redoEffect.run(nameless, ports, effectContextOf({ 1: created() }))).rejects.toMatchObject({ code: 'not_work' });
  });

  it('is not stopped by the end of the old task, but by that of the new one', async () => {
    expect(redoEffect.concerns!(work())).toBe('new');
    const stopped = new Error('cancelled');
    const context = effectContextOf({ 1: created() }, { signal: AbortSignal.abort(stopped) });
    await expect(redoEffect.run(work(), ports, context)).rejects.toBe(stopped);
  });
});
