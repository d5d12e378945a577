// Seeded randomness (mulberry32): the same seed gives the same history.
export interface Random {
  /** 0 up to before 1. */
  next(): number;
  /** Whole, 0 up to before `below`. */
  int(below: number): number;
  /** True so often. */
  chance(share: number): boolean;
  pick<T>(from: readonly T[]): T;
}

export const openRandom = (seed: number): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return { next, int, chance: (share) => next() < share, pick: (from) => from[int(from.length)]! };
};
