import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LineageDirection } from '../../schemas/index.js';
import { type Edge, type EdgesAt, walk } from './lineage.js';

const edge = (source: string, target: string): Edge => ({ source, target, kind: 'consumed' });
const ALL = { depth: 50, nodes: 10_000, edges: 50_000 };

/** The edges of a graph as the tables give them: at one end, sorted, limited. */
const edgesOf =
  (edges: readonly Edge[], direction: LineageDirection, batches: string[][] = []): EdgesAt =>
  async (ids, limit) => {
    batches.push([...ids]);
    return edges
      .filter((one) => ids.includes(direction === 'up' ? one.target : one.source))
      .sort((a, b) => (a.source + a.target < b.source + b.target ? -1 : 1))
      .slice(0, limit);
  };

describe('a walk', () => {
  const diamond = [edge('spec', 'a'), edge('spec', 'b'), edge('a', 'app'), edge('b', 'app')];

  test('finds each artifact once, at its smallest depth', async () => {
    const { depths, edges } = await walk(['app'], edgesOf([...diamond, edge('spec', 'app')], 'up'), 'up', ALL);
    expect([...depths]).toEqual([
      ['app', 0],
      ['a', 1],
      ['b', 1],
      ['spec', 1],
    ]);
    expect(edges).toHaveLength(5);
  });

  test('asks for a level at once, in parts of 1,000', async () => {
    const wide = Array.from({ length: 2_500 }, (_, i) => edge('root', `leaf-${String(i).padStart(4, '0')}`));
    const batches: string[][] = [];
    await walk(['root'], edgesOf(wide, 'down', batches), 'down', ALL);
    expect(batches.map((batch) => batch.length)).toEqual([1, 1_000, 1_000, 500]);
  });

  test('ends in a cycle, also of one', async () => {
    const ring = [edge('a', 'b'), edge('b', 'c'), edge('c', 'a'), edge('a', 'a')];
    const { depths, edges, truncated } = await walk(['a'], edgesOf(ring, 'down'), 'down', ALL);
    expect([...depths.keys()]).toEqual(['a', 'b', 'c']);
    expect([edges.length, truncated]).toEqual([4, false]);
  });

  test('goes no deeper than it is told, which is no cut', async () => {
    const chain = Array.from({ length: 20 }, (_, i) => edge(String(i), String(i + 1)));
    const { depths, truncated } = await walk(['0'], edgesOf(chain, 'down'), 'down', { ...ALL, depth: 3 });
    expect([[...depths.keys()], truncated]).toEqual([['0', '1', '2', '3'], false]);
  });

  test.each([
    ['nodes', { nodes: 3 }],
    ['edges', { edges: 2 }],
    ['roots', { nodes: 0 }],
  ])('with more %s than fit is cut and says so; no edge leads to what is not there', async (_name, limit) => {
    const { depths, edges, truncated } = await walk(['app'], edgesOf(diamond, 'up'), 'up', { ...ALL, ...limit });
    expect(truncated).toBe(true);
    for (const { source, target } of edges) expect([depths.has(source), depths.has(target)]).toEqual([true, true]);
  });

  test('finds in any graph what a plain search finds, in both directions', async () => {
    const name = fc.constantFrom(...'abcdefgh');
    const graph = fc.uniqueArray(fc.tuple(name, name), { maxLength: 20, selector: ([s, t]) => s + t });
    await fc.assert(
      fc.asyncProperty(
        graph,
        fc.constantFrom<LineageDirection>('up', 'down'),
        fc.integer({ min: 1, max: 8 }),
        async (pairs, direction, depth) => {
          const edges = pairs.map(([source, target]) => edge(source, target));
          let level = new Set(['a']);
          const expected = new Map([['a', 0]]);
          for (let d = 1; d <= depth; d++) {
            level = new Set(
              edges
                .filter((one) => level.has(direction === 'up' ? one.target : one.source))
                .map((one) => (direction === 'up' ? one.source : one.target)),
            );
            for (const id of level) if (!expected.has(id)) expected.set(id, d);
          }
          const found = await walk(['a'], edgesOf(edges, direction), direction, { ...ALL, depth });
          expect(new Map(found.depths)).toEqual(expected);
        },
      ),
    );
  });
});
