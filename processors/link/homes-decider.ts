// Which projects of a partition are decided here: what users ask of others is not taken in, nor what they ask anew of one that is about to leave.
//
// D1. A project is decided by one node at a time: from its first event to its `dats.project.moved`, by its home; from there on by the node named there, which says
// `dats.project.arrived` first. D2. What was asked for behind the request of a move is left to the new home, which has the whole history. D3. A move is begun when it
// leads to another node of the list, and none is under way.
import type { DatsEvent, EventType } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { say } from '../draft.js';
import type { Homes } from './homes.js';

interface Home {
  readonly home: string;
  /** It is about to leave. */
  readonly moving?: true;
}

export interface HomesState {
  readonly projects: Map<string, Home>;
  readonly changed: Set<string>;
}

const CONSUMES = ['dats.project.move.requested', 'dats.project.moved'] as const satisfies readonly EventType[];

/** What a home that is about to leave does not decide on: tasks that somebody wants (not those that follow from others), and further moves. */
export const isLeft = ({ type, data }: DatsEvent): boolean =>
  type === 'dats.project.move.requested' || (type === 'dats.task.created' && data.parent_id === undefined && data.redo === undefined);

export const homesDecider = ({ self, homeOf, knows }: Pick<Homes, 'self' | 'homeOf' | 'knows'>): Decider<HomesState> => {
  const set = (state: HomesState, project: string, home: Home): void => {
    state.projects.set(project, home);
    state.changed.add(project);
  };
  return {
    name: 'homes',
    consumes: CONSUMES,
    initialState: () => ({ projects: new Map(), changed: new Set() }),
    evolve: (state, event) => {
      if (event.type === 'dats.project.moved') set(state, event.projectid, { home: event.data.to });
      else if (event.type === 'dats.project.move.requested') set(state, event.projectid, { home: self, moving: true });
    },
    decide: (_state, event, offset) => {
      if (event.type === 'dats.project.move.requested') {
        const { project_id, to } = event.data;
        return [say('dats.project.move.started', project_id, { project_id, to, requested_at: offset })];
      }
      if (event.type !== 'dats.project.moved' || event.data.to !== self) return [];
      const { project_id, from, to } = event.data;
      return [say('dats.project.arrived', project_id, { project_id, from, to })];
    },
    declines: ({ projects }, event) => {
      const known = projects.get(event.projectid);
      if ((known?.home ?? homeOf(event.projectid)) !== self) return true;
      if (event.type === 'dats.project.move.requested' && (event.data.to === self || !knows(event.data.to))) return true;
      return known?.moving === true && isLeft(event);
    },
    changes: (state) => {
      const entries = new Map([...state.changed].map((project) => [project, state.projects.get(project)]));
      state.changed.clear();
      return entries;
    },
    restore: (entries) => ({ projects: new Map(entries as Iterable<readonly [string, Home]>), changed: new Set() }),
  };
};
