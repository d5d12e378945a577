// Which projects of a partition are decided here, for cascades: a fold of the words of moves. Pure.
//
// M1. A project that is about to leave ends what was under way when its home said so; what would begin a cascade or rollback from then on is left to its new
// home. M2. It is released once, when nothing is under way any more. M3. The new home decides from its own first word on; first on what was left.
import type { Homes } from '../link/index.js';
import type { Project } from './project.js';
import type { CascadeEvent } from './slim.js';

/** What nobody decided on, with what it used late (project.ts). */
export interface Left {
  readonly event: CascadeEvent;
  readonly lateUses: readonly number[];
}

interface Leaving {
  /** Offset of the word that it leaves. */
  readonly at: number;
  readonly to: string;
  readonly correlationid: string;
  readonly id: string;
}

interface Note {
  isHere: boolean;
  leaving?: Leaving & { readonly isCopy: boolean };
  left: Left[];
}

export interface Moves {
  /** After the project has taken it in. @param isCopy another node said it @returns what was left to this node, where this is its first word (M3) */
  take(event: CascadeEvent, offset: number, project: Project, isCopy: boolean): readonly Left[];
  /** Is it decided here? */
  isHere(project: string): boolean;
  /** Is what comes now to be answered here? */
  answers(project: string): boolean;
  /** Cascades and rollbacks that were asked for from there on are not begun here. */
  endOf(project: string): number;
  /** Those that are about to leave. */
  readonly leaving: ReadonlyMap<string, Leaving>;
}

const NOTHING: readonly Left[] = [];

export const openMoves = ({ self, homeOf }: Pick<Homes, 'self' | 'homeOf'>): Moves => {
  const notes = new Map<string, Note>();
  const leaving = new Map<string, Leaving>();
  const noteOf = (id: string): Note => {
    let note = notes.get(id);
    if (note === undefined) {
      note = { isHere: homeOf(id) === self, left: [] };
      notes.set(id, note);
    }
    return note;
  };
  const isHere = (id: string): boolean => notes.get(id)?.isHere ?? homeOf(id) === self;
  return {
    take(event, offset, { id, lateUses }, isCopy) {
      const note = event.type.startsWith('dats.project.') ? noteOf(id) : notes.get(id);
      if (note === undefined) return NOTHING;
      switch (event.type) {
        case 'dats.project.move.started':
          note.left = [];
          note.leaving = { at: offset, to: event.data.to, correlationid: event.correlationid, id: event.id, isCopy };
          if (!isCopy) leaving.set(id, note.leaving);
          return NOTHING;
        case 'dats.project.released':
          leaving.delete(id);
          return NOTHING;
        case 'dats.project.moved':
          note.isHere = false;
          delete note.leaving;
          leaving.delete(id);
          return NOTHING;
        case 'dats.project.arrived': {
          const { left } = note;
          note.left = [];
          // What an earlier life of this node said is history.
          note.isHere = !isCopy;
          return note.isHere ? left : NOTHING;
        }
        default:
          if (note.leaving?.isCopy === isCopy) note.left.push({ event, lateUses });
          return NOTHING;
      }
    },
    isHere,
    answers: (id) => isHere(id) && notes.get(id)?.leaving === undefined,
    endOf: (id) => notes.get(id)?.leaving?.at ?? Number.POSITIVE_INFINITY,
    leaving,
  };
};
