import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, TAINTS, type TaskView } from '../../schemas/index.js';
import { eventOf } from '../testing/index.js';
import { creation, output, ready } from '../testing/pipeline-world.js';
import { isMark, MARK_TYPES, type MarkEvent, type TaskMarks, taintOf, withMark } from './marks.js';
import { artifactDocs, foldTask, projectTask, shownArtifact, shownTask, type TaskDoc, taskDocument } from './task-view.js';

const OUTPUT = eventOf('dats.task.output.created', output({ task_id: 't', attempt: 1 }));
const { artifact_id, path } = OUTPUT.data.artifacts[0]!;

type Said = readonly ['tainted' | 'suspect' | 'cleared' | 'failed' | 'unproven', string] | readonly ['reverted' | 'restored'];
const eventFor = ([what, cascade_id = '']: Said, id = artifact_id): MarkEvent => {
  const about = { artifact_id: id, task_id: 't', path };
  const details = { subject: id };
  if (what === 'reverted') return eventOf('dats.artifact.reverted', { ...about, rollback_id: 'r' }, details);
  if (what === 'restored') return eventOf('dats.artifact.restored', { ...about, rollback_id: 'r', mark: 'clean' }, details);
  const by = { ...about, cascade_id };
  if (what === 'suspect') return eventOf('dats.artifact.suspect', { ...by, depth: 1 }, details);
  if (what === 'tainted') return eventOf('dats.artifact.tainted', { ...by, depth: 1, cause: 'edge', reason: 'bad' }, details);
  const verdict: DataOf<'dats.artifact.revalidated'> = {
    cascade_id,
    artifact_id: id,
    task_id: 't',
    attempt: 1,
    verdict: what,
    profile: 'tests',
    checks: [],
    reasons: [],
  };
  return eventOf('dats.artifact.revalidated', verdict, details);
};
const marksOf = (said: readonly Said[]): TaskMarks | undefined =>
  said.reduce<TaskMarks | undefined>((marks, one, offset) => withMark(marks, eventFor(one), offset), undefined);
const taintAfter = (...said: readonly Said[]) => taintOf(marksOf(said), artifact_id);

describe('how an artifact stands', () => {
  it('is clean while nobody says anything', () => expect(taintAfter()).toBe('clean'));

  it.each<[string, readonly Said[], (typeof TAINTS)[number]]>([
    [
      'tainted, by any cascade',
      [
        ['tainted', 'a'],
        ['suspect', 'b'],
        ['cleared', 'b'],
      ],
      'tainted',
    ],
    [
      'suspect while one cascade holds it so',
      [
        ['suspect', 'a'],
        ['suspect', 'b'],
        ['cleared', 'a'],
      ],
      'suspect',
    ],
    [
      'clean once every cascade cleared it',
      [
        ['suspect', 'a'],
        ['suspect', 'b'],
        ['cleared', 'a'],
        ['cleared', 'b'],
      ],
      'clean',
    ],
    [
      'tainted when it did not pass: that is said as well',
      [
        ['suspect', 'a'],
        ['failed', 'a'],
        ['tainted', 'a'],
      ],
      'tainted',
    ],
    [
      'clean when nothing could tell and the policy clears',
      [
        ['suspect', 'a'],
        ['unproven', 'a'],
        ['cleared', 'a'],
      ],
      'clean',
    ],
    ['suspect when its cascade left it so', [['suspect', 'a']], 'suspect'],
    [
      'not made better by a suspicion that comes late',
      [
        ['tainted', 'a'],
        ['suspect', 'a'],
        ['cleared', 'a'],
      ],
      'tainted',
    ],
    ['reverted when it was taken back, whatever it was', [['tainted', 'a'], ['reverted']], 'reverted'],
    ['reverted also when another cascade finds it later', [['reverted'], ['tainted', 'a']], 'reverted'],
    ['as it was when it stands again', [['suspect', 'a'], ['reverted'], ['tainted', 'b'], ['restored']], 'tainted'],
    ['clean when it was only taken back', [['reverted'], ['restored']], 'clean'],
  ])('is %s', (_, said, taint) => expect(taintAfter(...said)).toBe(taint));

  it('is the worst of what the cascades say one by one, unless it was taken back', () => {
    const said = fc.oneof(
      fc.tuple(fc.constantFrom('tainted' as const, 'suspect' as const, 'cleared' as const), fc.constantFrom('a', 'b', 'c')),
      fc.constantFrom<Said>(['reverted'], ['restored']),
    );
    fc.assert(
      fc.property(fc.array(said, { maxLength: 30 }), (all: readonly Said[]) => {
        const alone = ['a', 'b', 'c'].map((cascade) => taintAfter(...all.filter(([, by]) => by === cascade)));
        const worst = TAINTS.findLast((taint) => alone.includes(taint))!;
        const rolled = all.findLast(([what]) => what === 'reverted' || what === 'restored')?.[0] === 'reverted';
        expect(taintAfter(...all)).toBe(rolled ? 'reverted' : worst);
      }),
    );
  });

  it('is the same when the newest events are said again', () => {
    const marks = marksOf([['suspect', 'a'], ['tainted', 'a'], ['reverted']]);
    for (const [offset, one] of [['cleared', 'a'] as const, ['restored'] as const].entries())
      expect(withMark(marks, eventFor(one), offset)).toBe(marks);
  });

  it('is said by the events that views read', () => {
    const kinds: readonly Said[] = [['tainted', 'a'], ['suspect', 'a'], ['cleared', 'a'], ['reverted'], ['restored']];
    expect(new Set(kinds.map((one) => eventFor(one).type))).toEqual(new Set(MARK_TYPES));
    expect(isMark(OUTPUT)).toBe(false);
  });
});

describe('a task', () => {
  const viewOf = (events: readonly DatsEvent[]): TaskDoc => {
    let task: TaskDoc | undefined;
    for (const [offset, event] of events.entries()) task = projectTask(task, event, offset);
    return task!;
  };
  const CREATED = eventOf('dats.task.created', creation('t'));
  const READY = eventOf('dats.task.ready', ready('t'));
  const COMPLETED = eventOf('dats.task.completed', { task_id: 't', attempt: 1, provenance_id: 'v', execution_time_ms: 5 });
  const DONE = [CREATED, READY, OUTPUT, COMPLETED] as const;

  it.each<[string, readonly Said[], TaskView['flags']]>([
    ['nothing', [], []],
    ['tainted', [['tainted', 'a']], ['tainted']],
    ['suspect', [['suspect', 'a']], ['suspect']],
    [
      'nothing when it was cleared',
      [
        ['suspect', 'a'],
        ['cleared', 'a'],
      ],
      [],
    ],
    ['rolled_back', [['tainted', 'a'], ['reverted']], ['rolled_back']],
  ])('is flagged after its end: %s', (_, said, flags) => {
    const task = viewOf([...DONE, ...said.map((one) => eventFor(one))]);
    expect(task.flags).toEqual(flags);
    expect(task).toMatchObject({ state: 'completed', last_offset: 3 });
  });

  it('is flagged for the artifacts that it shows, not for those of an attempt that was rejected', () => {
    const second = eventOf('dats.task.output.created', {
      ...OUTPUT.data,
      attempt: 2,
      artifacts: [{ ...OUTPUT.data.artifacts[0]!, artifact_id: 'second' }],
    });
    const READY_2 = eventOf('dats.task.ready', { ...READY.data, attempt: 2 });
    const marked = [CREATED, READY, OUTPUT, eventFor(['tainted', 'a'])];
    expect(viewOf(marked).flags).toEqual(['tainted']);
    expect(viewOf([...marked, READY_2, second]).flags).toEqual([]);
    const both = viewOf([...marked, READY_2, second, eventFor(['suspect', 'a'], 'second')]);
    expect(both.flags).toEqual(['suspect']);
    expect([taintOf(both.marks, artifact_id), taintOf(both.marks, 'second')]).toEqual(['tainted', 'suspect']);
  });

  it('has a newer version with each mark, and none without', () => {
    const done = viewOf(DONE);
    const marked = viewOf([...DONE, eventFor(['tainted', 'a'])]);
    expect([taskDocument(done).version, taskDocument(marked).version]).toEqual([4, 5]);
    const again = { ...marked };
    foldTask(again, eventFor(['reverted']), 4);
    expect(again).toEqual(marked);
  });

  it('shows no marks, and they are not kept where there are none', () => {
    expect(viewOf(DONE)).not.toHaveProperty('marks');
    const marked = viewOf([...DONE, eventFor(['tainted', 'a'])]);
    expect(marked).toHaveProperty('marks');
    expect(shownTask(marked)).not.toHaveProperty('marks');
  });

  it('says of what it made whether it was accepted, and how it stands', () => {
    const [artifact] = artifactDocs(OUTPUT, 2);
    const said = (events: readonly DatsEvent[]) => {
      const { accepted, taint } = shownArtifact(artifact!, viewOf(events));
      return [accepted, taint];
    };
    expect(said([CREATED, READY, OUTPUT])).toEqual([false, 'clean']);
    expect(said(DONE)).toEqual([true, 'clean']);
    expect(said([...DONE, eventFor(['suspect', 'a'])])).toEqual([true, 'suspect']);
    expect(shownArtifact(artifact!, undefined)).toMatchObject({ accepted: false, taint: 'clean' });
  });
});
