// How what a task made stands now: the fold of what cascades and rollbacks say of its artifacts. Pure.
//
// K1. Marks are per cascade: an artifact is tainted while any cascade says so, else suspect while any holds it suspect. K2. Only a verdict that clears ends
// the suspicion of its cascade: after any other `dats.artifact.tainted` is still to come, in a commit of its own. A suspicion that its cascade left open (it was
// cut, or cancelled) stays: nobody cleared it. K3. What was taken back is `reverted`, however bad it is: it is not in use. Restored, it stands as its marks say.
// K4. Marks are kept beside the task's own events: `at` is the offset of the newest of them, and says what is in already.
import type { DatsEvent, EventOf, EventType, Taint, TaskView } from '../../schemas/index.js';

export const MARK_TYPES = [
  'dats.artifact.tainted',
  'dats.artifact.suspect',
  'dats.artifact.revalidated',
  'dats.artifact.reverted',
  'dats.artifact.restored',
] as const satisfies readonly EventType[];
export type MarkEvent = EventOf<(typeof MARK_TYPES)[number]>;

const TYPES: ReadonlySet<string> = new Set(MARK_TYPES);
export const isMark = (event: DatsEvent): event is MarkEvent => TYPES.has(event.type);

/** Of one artifact; lists hold cascades, in the order in which they came. */
interface ArtifactMarks {
  readonly tainted: readonly string[];
  readonly suspect: readonly string[];
  readonly reverted: boolean;
}

/** Of all artifacts of a task that were ever marked, those of its earlier attempts too. */
export interface TaskMarks {
  readonly at: number;
  readonly artifacts: Readonly<Record<string, ArtifactMarks>>;
}

const UNMARKED: ArtifactMarks = { tainted: [], suspect: [], reverted: false };

const without = (cascades: readonly string[], cascade: string): readonly string[] => cascades.filter((one) => one !== cascade);

const marked = (marks: ArtifactMarks, event: MarkEvent): ArtifactMarks => {
  switch (event.type) {
    case 'dats.artifact.tainted': {
      const { cascade_id } = event.data;
      return { ...marks, tainted: [...without(marks.tainted, cascade_id), cascade_id], suspect: without(marks.suspect, cascade_id) };
    }
    case 'dats.artifact.suspect': {
      const { cascade_id } = event.data;
      return marks.tainted.includes(cascade_id) ? marks : { ...marks, suspect: [...without(marks.suspect, cascade_id), cascade_id] };
    }
    case 'dats.artifact.revalidated':
      return event.data.verdict === 'cleared' ? { ...marks, suspect: without(marks.suspect, event.data.cascade_id) } : marks;
    case 'dats.artifact.reverted':
      return { ...marks, reverted: true };
    case 'dats.artifact.restored':
      return { ...marks, reverted: false };
  }
};

/** `marks` with an event that stands at `offset`; itself where that is in already. */
export const withMark = (marks: TaskMarks | undefined, event: MarkEvent, offset: number): TaskMarks => {
  if (marks !== undefined && offset <= marks.at) return marks;
  const { artifact_id } = event.data;
  const artifacts = marks?.artifacts ?? {};
  return { at: offset, artifacts: { ...artifacts, [artifact_id]: marked(artifacts[artifact_id] ?? UNMARKED, event) } };
};

/** What a parent knows when it shows the artifacts of a subtask too. */
export const mergedMarks = (own: TaskMarks | undefined, child: TaskMarks): TaskMarks => ({
  at: Math.max(own?.at ?? 0, child.at),
  artifacts: { ...own?.artifacts, ...child.artifacts },
});

export const taintOf = (marks: TaskMarks | undefined, artifactId: string): Taint => {
  const { tainted, suspect, reverted } = marks?.artifacts[artifactId] ?? UNMARKED;
  if (reverted) return 'reverted';
  if (tainted.length > 0) return 'tainted';
  return suspect.length > 0 ? 'suspect' : 'clean';
};

const FLAGS = [
  ['tainted', 'tainted'],
  ['suspect', 'suspect'],
  ['reverted', 'rolled_back'],
] as const satisfies readonly (readonly [Taint, TaskView['flags'][number]])[];

/** Of a task that shows these artifacts. */
export const flagsOf = (marks: TaskMarks | undefined, artifacts: TaskView['artifacts']): TaskView['flags'] => {
  const taints = new Set(artifacts.map(({ artifact_id }) => taintOf(marks, artifact_id)));
  return FLAGS.flatMap(([taint, flag]) => (taints.has(taint) ? [flag] : []));
};
