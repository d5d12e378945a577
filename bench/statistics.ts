// Order statistics of measured values.

/** The value at share `p` of the sorted values; NaN of none. */
export const percentile = (values: readonly number[], p: number): number => {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!;
};

export const median = (values: readonly number[]): number => percentile(values, 0.5);
