// How artifacts stand now: what cascades and rollbacks say of them, folded from their events. Pure.
//
// S1. An artifact is tainted when any cascade tainted it, else suspect while one holds it so. S2. What a rollback took back is taken back until it is restored.
import type { Mark } from '../../schemas/index.js';
import { type At, isA } from './record.js';

/** What was said, by whom, and where it stands in the log. */
export interface Marking {
  readonly kind: 'suspect' | 'tainted' | 'taken_back';
  /** Of the cascade or the rollback. */
  readonly by: string;
  readonly reason: string | undefined;
  readonly time: string;
  readonly offset: number;
}

export interface Standing {
  readonly mark: Mark;
  readonly taken_back: boolean;
  /** Those that hold, in the order in which they were said. */
  readonly markings: readonly Marking[];
}

export const CLEAN: Standing = { mark: 'clean', taken_back: false, markings: [] };
export const isClean = ({ mark, taken_back }: Standing): boolean => mark === 'clean' && !taken_back;

/** The events that `standingsOf` looks at. */
export const STANDING_TYPES: ReadonlySet<string> = new Set([
  'dats.artifact.tainted',
  'dats.artifact.suspect',
  'dats.artifact.revalidated',
  'dats.artifact.reverted',
  'dats.artifact.restored',
]);

interface Folding {
  /** Cascade -> its marking. */
  readonly marks: Map<string, Marking>;
  back: Marking | undefined;
}

const standingOf = ({ marks, back }: Folding): Standing => {
  const kinds = new Set([...marks.values()].map(({ kind }) => kind));
  const markings = [...marks.values(), ...(back === undefined ? [] : [back])].sort((a, b) => a.offset - b.offset);
  return { mark: kinds.has('tainted') ? 'tainted' : kinds.has('suspect') ? 'suspect' : 'clean', taken_back: back !== undefined, markings };
};

/** How each of the artifacts stands after `events`, which are in the order of the log. */
export const standingsOf = (events: Iterable<At>, ids: Iterable<string>): ReadonlyMap<string, Standing> => {
  const folding = new Map([...ids].map((id): [string, Folding] => [id, { marks: new Map(), back: undefined }]));
  for (const at of events) take(at, folding);
  return new Map([...folding].map(([id, one]) => [id, standingOf(one)]));
};

const take = (at: At, folding: ReadonlyMap<string, Folding>): void => {
  if (isA(at, 'dats.artifact.tainted')) {
    const { cascade_id, artifact_id, reason } = at.event.data;
    folding.get(artifact_id)?.marks.set(cascade_id, { kind: 'tainted', by: cascade_id, reason, time: at.event.time, offset: at.offset });
  } else if (isA(at, 'dats.artifact.suspect')) {
    const { cascade_id, artifact_id } = at.event.data;
    const marks = folding.get(artifact_id)?.marks;
    if (marks?.has(cascade_id) === false)
      marks.set(cascade_id, { kind: 'suspect', by: cascade_id, reason: undefined, time: at.event.time, offset: at.offset });
  } else if (isA(at, 'dats.artifact.revalidated')) {
    const { cascade_id, artifact_id, verdict } = at.event.data;
    const marks = folding.get(artifact_id)?.marks;
    if (verdict === 'cleared' && marks?.get(cascade_id)?.kind === 'suspect') marks.delete(cascade_id);
  } else takeRollback(at, folding);
};

const takeRollback = (at: At, folding: ReadonlyMap<string, Folding>): void => {
  const stands = (id: string | undefined): void => {
    const one = id === undefined ? undefined : folding.get(id);
    if (one !== undefined) one.back = undefined;
  };
  if (isA(at, 'dats.artifact.reverted')) {
    const { artifact_id, rollback_id, to } = at.event.data;
    const one = folding.get(artifact_id);
    if (one !== undefined) one.back = { kind: 'taken_back', by: rollback_id, reason: undefined, time: at.event.time, offset: at.offset };
    stands(to);
  } else if (isA(at, 'dats.artifact.restored')) stands(at.event.data.artifact_id);
};
