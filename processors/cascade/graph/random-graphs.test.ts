// Random histories of adds, told to the graph and to Maps and Sets that do the same in the plainest way: every answer is the same.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Selector } from '../../../schemas/index.js';
import { type ArtifactFact, type ClosureOptions, openGraph } from './index.js';

interface Add {
  readonly fact: ArtifactFact;
  readonly consumed: readonly string[];
}

/** Few, so that ids come again, circles close and much is consumed that was never made. */
const IDS = 24;
const hex = (n: number, length: number): string => n.toString(16).padStart(length, '0');
const idAt = (n: number): string => (n % 3 === 0 ? `artifact ${n}` : `${hex(n * 7, 8)}-0000-7000-8000-${hex(n, 12)}`);
const START_MS = Date.UTC(2026, 10, 26);
const id = fc.nat({ max: IDS - 1 }).map(idAt);
const few = (name: string) => fc.nat({ max: 2 }).map((n) => `${name}-${n}`);

const fact: fc.Arbitrary<ArtifactFact> = fc.record({
  artifact_id: id,
  task_id: fc.oneof(
    few('task'),
    fc.nat({ max: 3 }).map((n) => `00000000-0000-5000-8000-${hex(n, 12)}`),
  ),
  attempt: fc.integer({ min: 1, max: 9 }),
  path: few('path'),
  sha256: fc.nat({ max: 3 }).map((n) => hex(n, 64)),
  model: few('model'),
  model_digest: fc.constantFrom('', 'sha256:1'),
  prompt_version: few('prompt'),
  node: few('node'),
  config_version: few('config'),
  offset: fc.maxSafeNat(),
  time_ms: fc.nat({ max: 3 }).map((n) => START_MS + n * 1_000),
});
const adds: fc.Arbitrary<readonly Add[]> = fc.array(fc.record({ fact, consumed: fc.array(id, { maxLength: 6 }) }), { maxLength: 60 });

const instant = fc.nat({ max: 4 }).map((n) => new Date(START_MS + n * 1_000).toISOString());
const selector: fc.Arbitrary<Selector> = fc.record(
  {
    artifact_id: id,
    task_id: few('task'),
    model: fc.oneof(few('model'), few('node')),
    model_digest: fc.constantFrom('', 'sha256:1'),
    prompt_version: few('prompt'),
    node: few('node'),
    config_version: few('config'),
    from: instant,
    until: instant,
  },
  { requiredKeys: [] },
);
const closureAsked = fc.record({
  roots: fc.array(fc.integer({ min: -1, max: IDS }), { maxLength: 5 }),
  options: fc.record(
    {
      direction: fc.constantFrom('down' as const, 'up' as const),
      maxDepth: fc.nat({ max: 5 }),
      maxArtifacts: fc.nat({ max: IDS }),
    },
    { requiredKeys: [] },
  ),
});

/** The same by Maps and Sets. */
const naive = (history: readonly Add[]) => {
  const ids: string[] = [];
  const facts = new Map<string, ArtifactFact>();
  const parents = new Map<string, Set<string>>();
  const children = new Map<string, Set<string>>();
  const see = (one: string): void => void (ids.includes(one) || ids.push(one));
  for (const { fact, consumed } of history) {
    const child = fact.artifact_id;
    if (facts.has(child)) continue;
    facts.set(child, fact);
    for (const one of [child, ...consumed]) see(one);
    parents.set(child, new Set(consumed.filter((one) => one !== child)));
    for (const parent of parents.get(child)!) children.set(parent, (children.get(parent) ?? new Set<string>()).add(child));
  }
  const indexes = (set: ReadonlySet<string> | undefined): readonly number[] => [...(set ?? [])].map((one) => ids.indexOf(one));
  return { ids, facts, childrenAt: (i: number) => indexes(children.get(ids[i]!)), parentsAt: (i: number) => indexes(parents.get(ids[i]!)) };
};
type Naive = ReturnType<typeof naive>;

const naiveSelect = ({ ids, facts }: Naive, asked: Selector, below: number): readonly number[] =>
  [...ids.keys()].filter((index) => {
    if (index >= below) return false;
    const known = facts.get(ids[index]!);
    return (Object.entries(asked) as [keyof Selector, string][]).every(([field, value]) => {
      if (field === 'artifact_id') return ids[index] === value;
      if (known === undefined) return false;
      if (field === 'from') return known.time_ms >= Date.parse(value);
      if (field === 'until') return known.time_ms < Date.parse(value);
      return known[field] === value;
    });
  });

/** Level by level, all of it; what lies beyond a limit is taken away afterwards. */
const naiveClosure = (
  graph: Naive,
  roots: readonly number[],
  { direction = 'down', maxDepth = 1e9, maxArtifacts = 1e9 }: ClosureOptions,
) => {
  const next = direction === 'down' ? graph.childrenAt : graph.parentsAt;
  const reached = new Map<number, readonly [depth: number, via: number]>();
  for (const root of roots) if (root in graph.ids) reached.set(root, [0, -1]);
  let level = [...reached.keys()];
  for (let depth = 1; level.length > 0; depth++) {
    const deeper: number[] = [];
    for (const via of level)
      for (const index of next(via)) {
        if (reached.has(index)) continue;
        reached.set(index, [depth, via]);
        deeper.push(index);
      }
    level = deeper;
  }
  const kept = [...reached].filter(([, [depth]]) => depth <= maxDepth).slice(0, maxArtifacts);
  return {
    nodes: kept.map(([index]) => index),
    depths: kept.map(([, [depth]]) => depth),
    via: kept.map(([, [, via]]) => via),
    depth: Math.max(0, ...kept.map(([, [depth]]) => depth)),
    cut: kept.length < reached.size,
  };
};

it('a graph answers as Maps and Sets do, whatever its history', () => {
  fc.assert(
    fc.property(adds, fc.array(fc.tuple(selector, fc.nat({ max: IDS }))), fc.array(closureAsked), (history, selections, closures) => {
      const graph = openGraph();
      const indexes = history.map(({ fact, consumed }) => graph.add(fact, consumed));
      const plain = naive(history);
      expect(indexes).toEqual(history.map((one) => plain.ids.indexOf(one.fact.artifact_id)));
      expect(graph.size).toBe(plain.ids.length);
      for (let n = 0; n < IDS; n++) expect(graph.indexOf(idAt(n))).toBe(plain.ids.indexOf(idAt(n)));
      let edges = 0;
      for (const [index, one] of plain.ids.entries()) {
        expect(graph.idOf(index)).toBe(one);
        expect(graph.factAt(index)).toEqual(plain.facts.get(one));
        expect(graph.children(index)).toEqual(plain.childrenAt(index));
        expect(graph.parents(index)).toEqual(plain.parentsAt(index));
        edges += plain.parentsAt(index).length;
        const [known, next] = [plain.facts.get(one), plain.facts.get(plain.ids[index + 1] ?? '')];
        const derived = known !== undefined && next !== undefined && (known.path === next.path || known.sha256 === next.sha256);
        expect(graph.edgeKind(index, index + 1)).toBe(derived ? 'derived' : 'informed');
        if (known !== undefined) expect(graph.madeBy(known.task_id)).toEqual(naiveSelect(plain, { task_id: known.task_id }, IDS));
      }
      expect(graph.edges).toBe(edges);
      for (const [asked, below] of selections) {
        expect(graph.select(asked)).toEqual(naiveSelect(plain, asked, IDS));
        expect(graph.select(asked, below)).toEqual(naiveSelect(plain, asked, below));
      }
      for (const { roots, options } of closures) {
        const { nodes, depths, via, depth, cut } = graph.closure(roots, options);
        expect({ nodes: [...nodes], depths: [...depths], via: [...via], depth, cut }).toEqual(naiveClosure(plain, roots, options));
      }
    }),
    { numRuns: Number(process.env['DATS_RUNS'] ?? 300) },
  );
});
