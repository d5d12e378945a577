import { describe, expect, it } from 'vitest';
import { linearFit } from './linear-fit.js';
import { openRandom } from './random.js';

describe('a straight line', () => {
  it('is found where the points lie on one', () => {
    const { slope, error } = linearFit([
      [0, 5],
      [2, 9],
      [10, 25],
    ]);
    expect(slope).toBeCloseTo(2);
    expect(error).toBeCloseTo(0);
  });

  it('has the true slope within its error, and an error that shrinks with more points', () => {
    const { next } = openRandom(7);
    const noisy = (n: number) => linearFit(Array.from({ length: n }, (_, i) => [i / n, 3 * (i / n) + next() - 0.5] as const));
    const [few, many] = [noisy(50), noisy(5_000)];
    expect(Math.abs(many.slope - 3)).toBeLessThan(2 * many.error);
    expect(many.error).toBeLessThan(few.error / 5);
  });

  it('is not believed of two points', () => {
    expect(
      linearFit([
        [0, 0],
        [1, 1],
      ]),
    ).toEqual({ slope: 1, error: Number.POSITIVE_INFINITY });
  });
});
