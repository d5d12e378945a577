import fc from 'fast-check';
import { expect, it } from 'vitest';
import { differences } from './difference.js';

it('names each place by its pointer, with what went and what came', () => {
  expect(differences({ a: 1, b: { 'c/d': [1, 2] }, e: null }, { b: { 'c/d': [1, 3, 4] }, e: [], 'f~': 0 })).toEqual([
    { pointer: '/a', from: 1 },
    { pointer: '/b/c~1d/1', from: 2, to: 3 },
    { pointer: '/b/c~1d/2', to: 4 },
    { pointer: '/e', from: null, to: [] },
    { pointer: '/f~0', to: 0 },
  ]);
});

it('is empty for equal values and for no others', () => {
  const value = fc.jsonValue({ maxDepth: 3 }).map((one) => JSON.parse(JSON.stringify(one)) as unknown);
  fc.assert(
    fc.property(value, (one) => {
      expect(differences(one, structuredClone(one))).toEqual([]);
    }),
  );
  fc.assert(
    fc.property(value, value, (one, two) => {
      const same = differences(one, two).length === 0;
      expect(same).toBe(differences(two, one).length === 0);
      if (same) expect(one).toEqual(two);
    }),
  );
});
