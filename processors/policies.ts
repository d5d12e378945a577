// What deciders decide by where it can change while they run.
//
// P1. A decision is made under what holds now. P2. What a fold keeps of an event follows from what held under the version that the event names: folded again
// at any later time it comes out the same.
export interface Policies<P> {
  now(): P;
  under(configversion: string): P;
}

/** One that never changes. */
export const fixed = <P>(policy: P): Policies<P> => ({ now: () => policy, under: () => policy });
