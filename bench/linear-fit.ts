// A straight line through measured points, and how sure its slope is.

export interface LinearFit {
  readonly slope: number;
  /** Half of the 95 % interval of the slope; Infinity of fewer than three points. */
  readonly error: number;
}

/** Standard errors in a 95 % interval, of many points. */
const Z95 = 1.96;

/** Least squares. @param points [x, y] */
export const linearFit = (points: readonly (readonly [x: number, y: number])[]): LinearFit => {
  const n = points.length;
  const mean = (pick: (point: readonly [number, number]) => number): number => points.reduce((sum, point) => sum + pick(point), 0) / n;
  const [meanX, meanY] = [mean(([x]) => x), mean(([, y]) => y)];
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  if (n < 3) return { slope, error: Number.POSITIVE_INFINITY };
  const residue = points.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { slope, error: Z95 * Math.sqrt(residue / (n - 2) / spread) };
};
