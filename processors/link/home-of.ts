// Where a project is decided now: where the last move took it, else where the list of nodes says.
import type { ViewStore } from '../../streams/index.js';
import type { Homes } from './homes.js';

/** Collection of the view store: where projects are that were moved, by project. */
export const MOVED = 'home';

export interface MovedProject {
  readonly project_id: string;
  readonly home: string;
  /** On its way: where to. */
  readonly moving_to?: string;
  /** How many moves this node has heard of. */
  readonly moves: number;
}

export type HomeNow = Pick<MovedProject, 'home' | 'moving_to' | 'moves'>;

/** The view may be late by milliseconds, or empty after it was lost: what goes to the wrong node by that is sent on from there (keep-homes.ts). */
export const homeNow = async (views: Pick<ViewStore, 'get'>, { homeOf }: Pick<Homes, 'homeOf'>, project: string): Promise<HomeNow> =>
  (await views.get<MovedProject>(MOVED, project)) ?? { home: homeOf(project), moves: 0 };
