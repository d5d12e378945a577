// The registry of settings as a fold of its one partition: which changes count, and what every version of a key is.
//
// F1. A change counts where the key still is the version that it replaces; else another one was first, and it is void. Whoever appended it learns that by
// folding: the order of the log decides, and every reader decides the same. F2. Whether it counts does not depend on the key or on its value: a build that
// does not know them counts as all others do. F3. Pure; nothing is ever forgotten.
import type { ConfigChanged, EventOf } from '../../schemas/index.js';

/** A change that counted: one version of a key. */
export interface Change extends ConfigChanged {
  /** Of the event. */
  readonly id: string;
  /** RFC 3339. */
  readonly time: string;
  /** Its place among all changes that counted, from 1: the registry's version since. */
  readonly number: number;
}

export interface Registry {
  /** In the order in which they came. */
  readonly changes: readonly Change[];
  /** The versions of each key, version n at n - 1. */
  readonly keys: ReadonlyMap<string, readonly Change[]>;
}

export interface Fold extends Registry {
  readonly changes: Change[];
  readonly keys: Map<string, Change[]>;
}

export const newFold = (): Fold => ({ changes: [], keys: new Map() });

/** The newest version of a key; 0 where nothing was changed. */
export const versionOf = ({ keys }: Registry, key: string): number => keys.get(key)?.length ?? 0;

/** Takes an event in. @returns the change; undefined where it is void (F1) */
export const take = (fold: Fold, { id, time, data }: EventOf<'dats.config.changed'>): Change | undefined => {
  const current = versionOf(fold, data.key);
  if (data.replaces !== current || data.version !== current + 1) return undefined;
  const change: Change = { ...data, id, time, number: fold.changes.length + 1 };
  fold.changes.push(change);
  const versions = fold.keys.get(data.key);
  if (versions === undefined) fold.keys.set(data.key, [change]);
  else versions.push(change);
  return change;
};
