import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ArtifactRef, type DataOf, type DatsEvent, derivedId, EVENTS, Fault, languageOf, type Work } from '../../schemas/index.js';
import type { ArtifactStore } from '../artifact-store.js';
import { inlineContent, referenceText } from '../content.js';
import type { Draft } from '../draft.js';
import type { EffectContext } from '../effect.js';
import { effectContextOf, eventOf, memoryArtifactStore } from '../testing/index.js';
import { output } from '../testing/pipeline-world.js';
import { parser } from './checks/parser-process.js';
import { qaEffect, revalidateEffect } from './effect.js';
import { refusingSandbox } from './sandbox/refusing.js';
import type { Sandbox, SandboxLimits } from './sandbox/sandbox.js';
import { openSandbox } from './sandbox/select.js';

const MIB = 1024 * 1024;
const limits: SandboxLimits = { timeout_ms: 10_000, memory_bytes: 256 * MIB, processes: 32, output_bytes: 64 * 1024, disk_bytes: 8 * MIB };

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await openSandbox({ rung: 'auto', hidden: [], env: process.env });
}, 30_000);
afterAll(() => parser.close());

const artifact = (task_id: string, path: string, code: string) => ({
  ...inlineContent(code)!,
  artifact_id: derivedId(task_id, 1, path),
  type: languageOf(path),
  path,
});
const made = (task_id: string, files: Readonly<Record<string, string>>, consumed: readonly ArtifactRef[] = []) =>
  eventOf('dats.task.output.created', {
    ...output({ task_id, attempt: 1 }),
    consumed: [...consumed],
    artifacts: Object.entries(files).map(([path, code]) => artifact(task_id, path, code)),
  });
const refOf = (event: DatsEvent, at: number): ArtifactRef => {
  if (event.type !== 'dats.task.output.created') throw new Error(event.type);
  const { artifact_id, path, sha256 } = event.data.artifacts[0]!;
  return { artifact_id, task_id: event.data.task_id, path, sha256, at };
};

const TESTS = inlineContent('from solution import add\nassert add(1, 2) == 3\n')!;
const created = (more: Partial<DataOf<'dats.task.created'>> = {}) =>
  eventOf('dats.task.created', {
    task_id: 't',
    description: inlineContent('Add')!,
    priority: 'normal',
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    tests: { language: 'python', code: TESTS },
    submitted_by: 'tester',
    ...more,
  });

const BAD = made('bad', { 'numbers_of.py': 'def plus(a, b):\n    return a - b\n' });
const GOOD = made('good', { 'numbers_of.py': 'def plus(a, b):\n    return a + b\n' });
const OTHER = made('other', { 'limits_of.py': 'LIMIT = 3\n' });
const AT = { created: 1, output: 2, bad: 3, good: 4, other: 5 } as const;
const [bad, good, other] = [refOf(BAD, AT.bad), refOf(GOOD, AT.good), refOf(OTHER, AT.other)];

/** What is to be checked again. */
const suspectWith = (files: Readonly<Record<string, string>>, consumed = [bad, other]) => made('t', files, consumed);
const LEANING = { 'solution.py': 'from numbers_of import plus\n\ndef add(a, b):\n    return plus(a, b)\n' };
const ALONE = suspectWith({ 'solution.py': 'def add(a, b):\n    return a + b\n', 'notes.md': '# not checked' });
const LEANS = suspectWith(LEANING);
const work = (asked: Partial<NonNullable<Work['revalidate']>>, more: Partial<Work> = {}) =>
  eventOf(
    'dats.work.requested',
    {
      task_id: 't',
      kind: 'revalidate',
      attempt: 1,
      tier: 'small',
      domain: 'code',
      prompt_version: 'generate@1',
      qa_profile: 'tests',
      context: { created: AT.created, output: AT.output, inputs: [] },
      revalidate: { cascade_id: 'c', artifact_id: 'a', without: [bad.artifact_id], instead: [], ...asked },
      due: '2026-01-01T00:01:00.000Z',
      ...more,
    },
    { id: 'w' },
  );
const events = (produced: DatsEvent, origin: DatsEvent = created()): Record<number, DatsEvent> => ({
  [AT.created]: origin,
  [AT.output]: produced,
  [AT.bad]: BAD,
  [AT.good]: GOOD,
  [AT.other]: OTHER,
});
const ports = (box: Sandbox = sandbox, artifacts: ArtifactStore = memoryArtifactStore()) => ({
  models: undefined as never,
  artifacts,
  checks: { sandbox: box, limits },
});

const verdictIn = ([draft, ...more]: readonly Draft[]): DataOf<'dats.artifact.revalidated'> => {
  if (draft?.type !== 'dats.artifact.revalidated') throw new Error(`unexpected ${draft?.type}`);
  expect(more).toEqual([]);
  expect([draft.subject, draft.id]).toEqual(['a', derivedId('w', 'revalidated')]);
  expect(EVENTS[draft.type][1].parse(draft.data)).toEqual(draft.data);
  return draft.data;
};
const revalidate = async (
  asked: Parameters<typeof work>[0],
  at: Record<number, DatsEvent>,
  more: Partial<Work> = {},
  context: Partial<EffectContext> = {},
) => verdictIn(await revalidateEffect.run(work(asked, more), ports(), effectContextOf(at, context)));

describe('a revalidation', () => {
  it('clears what passes its tests without what is tainted', async () => {
    const verdict = await revalidate({}, events(ALONE));
    expect(verdict).toMatchObject({ cascade_id: 'c', artifact_id: 'a', task_id: 't', attempt: 1, verdict: 'cleared', profile: 'tests' });
    expect(verdict.reasons).toEqual([]);
    expect(verdict.checks.map(({ name, status }) => `${name} ${status}`)).toEqual(['syntax:python passed', 'tests:python passed']);
  });

  it('fails what needs the tainted input', async () => {
    const verdict = await revalidate({}, events(LEANS));
    expect(verdict.verdict).toBe('failed');
    expect(verdict.reasons).toEqual([expect.stringMatching(/^tests:python: .*No module named 'numbers_of'/s)]);
  });

  it('puts the version that stands now in the place of the tainted one', async () => {
    expect((await revalidate({ instead: [good] }, events(LEANS))).verdict).toBe('cleared');
    expect((await revalidate({ without: [], instead: [good] }, events(LEANS))).verdict).toBe('failed');
  });

  it('leaves the other inputs where they are', async () => {
    const both = suspectWith({ 'solution.py': 'from limits_of import LIMIT\n\ndef add(a, b):\n    return LIMIT\n' });
    expect((await revalidate({ instead: [good] }, events(both))).verdict).toBe('cleared');
    expect((await revalidate({ without: [bad.artifact_id, other.artifact_id] }, events(both))).verdict).toBe('failed');
  });

  it.each<[string, Partial<Work>, DatsEvent]>([
    ['a profile that checks nothing', { qa_profile: 'none' as const }, created()],
    ['a profile that only reads', { qa_profile: 'syntax' as const }, created()],
    ['a task without tests', {}, created({ tests: undefined })],
  ])('proves nothing by %s', async (_, more, origin) => {
    const verdict = await revalidate({}, events(ALONE, origin), more);
    expect([verdict.verdict, verdict.profile, verdict.reasons]).toEqual([
      'unproven',
      more.qa_profile ?? 'tests',
      ['no tests of the task ran on it'],
    ]);
  });

  it('fails code that cannot be read, whatever the profile runs besides', async () => {
    const verdict = await revalidate({}, events(suspectWith({ 'solution.py': 'def add(:' })), { qa_profile: 'syntax' });
    expect([verdict.verdict, verdict.reasons.length]).toEqual(['failed', 1]);
  });

  it('sees what the check of the attempt saw', async () => {
    const inputs = [good, other];
    const at = events(suspectWith(LEANING, inputs));
    const check = work({}, { kind: 'check', context: { created: AT.created, output: AT.output, inputs } });
    const [draft] = await qaEffect.run(check, ports(), effectContextOf(at));
    expect(draft!.type).toBe('dats.task.validated');
    expect((await revalidate({ without: [] }, at)).verdict).toBe('cleared');
  });
});

describe('a revalidation that cannot be made', () => {
  const unproven = async (run: Promise<unknown>, asked = work({})): Promise<readonly string[]> => {
    const fault = await run.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(fault instanceof Fault)) throw new Error(`no fault: ${String(fault)}`);
    const verdict = verdictIn(revalidateEffect.givenUp!(asked, fault));
    expect([verdict.verdict, verdict.checks]).toEqual(['unproven', []]);
    return verdict.reasons;
  };

  it('is unproven where there is no sandbox', async () => {
    const run = revalidateEffect.run(work({}), ports(refusingSandbox('install bubblewrap')), effectContextOf(events(ALONE)));
    expect(await unproven(run)).toEqual(['sandbox_unavailable: install bubblewrap']);
  });

  it('is unproven where content or an input is missing', async () => {
    const lost = suspectWith({});
    const { content: _content, ...stored } = {
      ...artifact('t', 'solution.py', ''),
      ...(await referenceText(memoryArtifactStore(), 'x'.repeat(40_000))),
    };
    const gone = eventOf('dats.task.output.created', { ...lost.data, artifacts: [stored] });
    expect((await unproven(revalidateEffect.run(work({}), ports(), effectContextOf(events(gone)))))[0]).toMatch(/^content_missing: /);
    const elsewhere = work({ instead: [{ ...good, at: AT.other }] });
    expect((await unproven(revalidateEffect.run(elsewhere, ports(), effectContextOf(events(ALONE))), elsewhere))[0]).toMatch(
      /^input_missing: /,
    );
  });

  it('says so in a bounded reason', () => {
    const [reason] = verdictIn(revalidateEffect.givenUp!(work({}), new Fault('terminal', 'x', 'y'.repeat(20_000)))).reasons;
    expect(reason).toHaveLength(8_000);
  });

  it('is refused when it names no artifact', async () => {
    const { revalidate: _none, ...data } = work({}).data;
    const nameless = eventOf('dats.work.requested', data);
    await expect(revalidateEffect.run(nameless, ports(), effectContextOf(events(ALONE)))).rejects.toMatchObject({ code: 'not_work' });
    expect(() => revalidateEffect.concerns!(nameless)).toThrow(Fault);
  });
});

describe('the end of a revalidation', () => {
  it('is that of its cascade, not of its task', () => {
    expect(revalidateEffect.concerns!(work({}))).toBe('c');
  });

  it('throws the reason of the signal, before and while it runs', async () => {
    const over = new Error('the cascade is over');
    await expect(revalidate({}, events(ALONE), {}, { signal: AbortSignal.abort(over) })).rejects.toBe(over);
    const stop = new AbortController();
    const run = revalidate({}, events(suspectWith({ 'solution.py': 'while True: pass\n' })), {}, { signal: stop.signal });
    setImmediate(() => stop.abort(over));
    await expect(run).rejects.toBe(over);
  });
});
