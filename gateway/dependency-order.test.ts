import fc from 'fast-check';
import { expect, test } from 'vitest';
import { components, cycleThrough } from './dependency-order.js';

const graph = fc
  .integer({ min: 1, max: 12 })
  .chain((n) => fc.array(fc.array(fc.nat(n - 1), { maxLength: 3 }), { minLength: n, maxLength: n }));

const reaches = (edges: readonly (readonly number[])[], from: number, to: number): boolean => {
  const seen = new Set(edges[from]);
  for (const node of seen) for (const next of edges[node]!) seen.add(next);
  return seen.has(to);
};

test('components are exactly the groups that reach each other, dependencies first', () => {
  fc.assert(
    fc.property(graph, (edges) => {
      const found = components(edges);
      expect(found.flat().sort((a, b) => a - b)).toEqual(edges.map((_, i) => i));
      const place = new Map(found.flatMap((component, at) => component.map((node) => [node, at] as const)));
      edges.forEach((on, node) => {
        for (const other of on) expect(place.get(other)!).toBeLessThanOrEqual(place.get(node)!);
      });
      for (const a of place.keys())
        for (const b of place.keys()) if (a !== b) expect(place.get(a) === place.get(b)).toBe(reaches(edges, a, b) && reaches(edges, b, a));
    }),
  );
});

test('the cycle that is named is one', () => {
  fc.assert(
    fc.property(graph, (edges) => {
      for (const component of components(edges)) {
        if (component.length === 1 && !edges[component[0]!]!.includes(component[0]!)) continue;
        const way = cycleThrough(edges, component);
        expect(way.length).toBeGreaterThan(1);
        expect(way[0]).toBe(way.at(-1));
        for (let i = 1; i < way.length; i++) expect(edges[way[i - 1]!]).toContain(way[i]);
      }
    }),
  );
});
