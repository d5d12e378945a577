// Randomness that a failed run can be repeated with.

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
}

/** mulberry32: small, fast, good enough to spread tests. */
export const seededRandom = (seed: number): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (items) => items[Math.floor(next() * items.length)]!,
  };
};

/** DATS_SEED, or a new one; printed, so that the run can be repeated. */
export const testSeed = (what: string): number => {
  const seed = Number(process.env['DATS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`${what}: seed ${seed} (repeat with DATS_SEED=${seed})`);
  return seed;
};
