import { describe, expect, it } from 'vitest';
import { derivedId } from '../../../schemas/index.js';
import { type ArtifactFact, type Graph, openGraph } from './index.js';

const START_MS = Date.UTC(2026, 10, 26);
const idOf = (name: string): string => derivedId('artifact', name);
const shaOf = (digit: string): string => digit.repeat(64);

const fact = (name: string, change: Partial<ArtifactFact> = {}): ArtifactFact => ({
  artifact_id: idOf(name),
  task_id: derivedId('task', name),
  attempt: 1,
  path: `src/${name}.ts`,
  sha256: `${derivedId(name)}${derivedId(name, 2)}`.replaceAll('-', ''),
  model: 'coder',
  model_digest: '',
  prompt_version: 'generate-3',
  node: 'node-1',
  config_version: 'config-1',
  offset: 2 ** 40 + 7,
  time_ms: START_MS,
  ...change,
});

/** Each name with what it was made from; indexes are the places of the names as they are first seen. */
const graphOf = (...made: readonly (readonly [string, ...string[]])[]): Graph => {
  const graph = openGraph();
  for (const [name, ...consumed] of made) graph.add(fact(name), consumed.map(idOf));
  return graph;
};
const diamond = (): Graph => graphOf(['a'], ['b', 'a'], ['c', 'a'], ['d', 'b', 'c'], ['e', 'd']);

describe('a graph', () => {
  it('gives back what it was told of an artifact', () => {
    const graph = openGraph();
    const told = [
      fact('a'),
      fact('b', { artifact_id: 'not a uuid', task_id: 'task-1', attempt: 3, model_digest: 'sha256:1', node: '', sha256: shaOf('f') }),
      fact('c', { offset: 0, time_ms: 0.5, sha256: shaOf('0') }),
    ];
    expect(told.map((one) => graph.add(one, []))).toEqual([0, 1, 2]);
    expect([0, 1, 2].map((index) => graph.factAt(index))).toEqual(told);
    expect(told.map((one) => graph.indexOf(one.artifact_id))).toEqual([0, 1, 2]);
    expect([0, 1, 2].map((index) => graph.idOf(index))).toEqual(told.map((one) => one.artifact_id));
  });

  it('gives what was consumed and never made an index and no fact, until it is made (N2)', () => {
    const graph = graphOf(['a', 'late']);
    expect([graph.size, graph.indexOf(idOf('late')), graph.factAt(1)]).toEqual([2, 1, undefined]);
    expect(graph.children(1)).toEqual([0]);
    expect(graph.add(fact('late'), [])).toBe(1);
    expect(graph.factAt(1)).toEqual(fact('late'));
    expect([graph.size, graph.edges, graph.children(1)]).toEqual([2, 1, [0]]);
  });

  it('does not change by an event that comes again, whatever it says', () => {
    const graph = diamond();
    expect(graph.add(fact('d', { path: 'other', task_id: 'other', time_ms: 1 }), [idOf('e'), idOf('new')])).toBe(3);
    expect([graph.size, graph.edges, graph.factAt(3)]).toEqual([5, 5, fact('d')]);
    expect([graph.parents(3), graph.madeBy('other'), graph.indexOf(idOf('new'))]).toEqual([[1, 2], [], -1]);
  });

  it('keeps an edge once, and none to itself', () => {
    const graph = graphOf(['a'], ['b', 'a', 'b', 'a', 'a']);
    expect([graph.edges, graph.parents(1), graph.children(0), graph.children(1)]).toEqual([1, [0], [1], []]);
  });

  it('has children and parents in the order in which they came', () => {
    const graph = graphOf(['a'], ['b'], ['z', 'b', 'a'], ['c', 'a'], ['y', 'a', 'b']);
    expect([graph.children(0), graph.children(1)]).toEqual([
      [2, 3, 4],
      [2, 4],
    ]);
    expect([graph.parents(2), graph.parents(4)]).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  it('knows what a task made, in order, also where it was consumed before it was made', () => {
    const graph = openGraph();
    const task_id = derivedId('task', 'both');
    graph.add(fact('other'), [idOf('first')]);
    graph.add(fact('second', { task_id }), []);
    graph.add(fact('first', { task_id }), []);
    expect([graph.madeBy(task_id), graph.madeBy('nobody')]).toEqual([[1, 2], []]);
  });

  it('has nothing where there is no index', () => {
    const graph = diamond();
    for (const index of [-1, 5, 1_000]) {
      expect([graph.factAt(index), graph.children(index), graph.parents(index)]).toEqual([undefined, [], []]);
      expect(() => graph.idOf(index)).toThrowError(expect.objectContaining({ code: 'no_such_index' }));
    }
    expect(graph.indexOf('nobody')).toBe(-1);
  });

  it('refuses a digest that is none, and is as it was', () => {
    const graph = graphOf(['a']);
    for (const sha256 of ['', shaOf('A'), shaOf('0').slice(1), `${shaOf('0')}0`, `${shaOf('0').slice(1)}ä`])
      expect(() => graph.add(fact('b', { sha256 }), [idOf('c')])).toThrowError(expect.objectContaining({ code: 'artifact_sha256' }));
    expect([graph.size, graph.edges, graph.indexOf(idOf('b')), graph.madeBy(derivedId('task', 'b'))]).toEqual([1, 0, -1, []]);
    expect(graph.add(fact('b'), [])).toBe(1);
  });

  it('calls an edge derived between versions of a path or where the content is the same (N4)', () => {
    const graph = openGraph();
    graph.add(fact('a'), [idOf('never')]);
    graph.add(fact('version', { path: 'src/a.ts' }), []);
    graph.add(fact('copy', { sha256: fact('a').sha256 }), []);
    graph.add(fact('else', { sha256: `${fact('a').sha256.slice(0, 63)}${fact('a').sha256.endsWith('0') ? '1' : '0'}` }), []);
    const index = (name: string): number => graph.indexOf(idOf(name));
    expect(['version', 'copy', 'else', 'never'].map((name) => graph.edgeKind(index('a'), index(name)))).toEqual([
      'derived',
      'derived',
      'informed',
      'informed',
    ]);
    expect(graph.edgeKind(index('never'), index('never'))).toBe('informed');
  });
});

describe('a closure', () => {
  it('is breadth first, each once, with its steps and the one through which it was reached first', () => {
    const { nodes, depths, via, depth, cut } = diamond().closure([0]);
    expect([[...nodes], [...depths], [...via], depth, cut]).toEqual([[0, 1, 2, 3, 4], [0, 1, 1, 2, 3], [-1, 0, 0, 1, 3], 3, false]);
  });

  it('goes up to what something was made from', () => {
    const { nodes, via } = diamond().closure([4], { direction: 'up' });
    expect([[...nodes], [...via]]).toEqual([
      [4, 3, 1, 2, 0],
      [-1, 4, 3, 3, 1],
    ]);
  });

  it('has its roots first, in the order given, each once, and leaves out what has no index', () => {
    const { nodes, depths } = diamond().closure(new Set([3, -1, 0, 5, 0.5]));
    expect([[...nodes], [...depths]]).toEqual([
      [3, 0, 4, 1, 2],
      [0, 0, 1, 1, 1],
    ]);
  });

  it('ends in circles (N3)', () => {
    const graph = graphOf(['a', 'c'], ['b', 'a'], ['c', 'b']);
    expect([...graph.closure([0]).nodes]).toEqual([0, 2, 1]);
    expect([...graph.closure([0], { direction: 'up' }).nodes]).toEqual([0, 1, 2]);
  });

  it('says that it was cut only where something was left out', () => {
    const graph = diamond();
    const told = (options: { maxDepth?: number; maxArtifacts?: number }, roots = [0]) => {
      const { nodes, depth, cut } = graph.closure(roots, options);
      return [[...nodes], depth, cut];
    };
    expect(told({ maxDepth: 3 })).toEqual([[0, 1, 2, 3, 4], 3, false]);
    expect(told({ maxDepth: 2 })).toEqual([[0, 1, 2, 3], 2, true]);
    expect(told({ maxDepth: 0 })).toEqual([[0], 0, true]);
    expect(told({ maxDepth: 0 }, [4])).toEqual([[4], 0, false]);
    expect(told({ maxDepth: 1 }, [1, 2, 3, 4])).toEqual([[1, 2, 3, 4], 0, false]);
    expect(told({ maxArtifacts: 5 })).toEqual([[0, 1, 2, 3, 4], 3, false]);
    expect(told({ maxArtifacts: 4 })).toEqual([[0, 1, 2, 3], 2, true]);
    expect(told({ maxArtifacts: 1 }, [0, 1])).toEqual([[0], 0, true]);
    expect(told({ maxArtifacts: 0 })).toEqual([[], 0, true]);
    expect(told({}, [])).toEqual([[], 0, false]);
  });

  it('is not disturbed by another one: of another graph, of its roots, or a later one', () => {
    const [graph, other] = [diamond(), graphOf(['x'], ['y', 'x'])];
    const first = graph.closure([0]);
    function* roots() {
      yield* other.closure([0]).nodes.subarray(0, 1);
      yield* other.closure([1]).nodes;
    }
    expect([...graph.closure(roots()).nodes]).toEqual([0, 1, 2, 3, 4]);
    other.closure([1, 0]);
    expect([...first.nodes]).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('a selection', () => {
  const graph = openGraph();
  graph.add(fact('a', { model: 'm1', node: 'n1', time_ms: START_MS }), [idOf('foreign')]);
  graph.add(fact('b', { model: 'm2', node: 'n1', time_ms: START_MS + 1_000 }), []);
  graph.add(fact('c', { model: 'm1', node: 'n2', time_ms: START_MS + 2_000, config_version: 'n1' }), []);
  const [a, foreign, b, c] = [0, 1, 2, 3];

  it('is all for which everything holds, ascending', () => {
    expect(graph.select({ model: 'm1' })).toEqual([a, c]);
    expect(graph.select({ node: 'n1' })).toEqual([a, b]);
    expect(graph.select({ model: 'm1', node: 'n1' })).toEqual([a]);
    expect(graph.select({ config_version: 'n1' })).toEqual([c]);
    expect(graph.select({ prompt_version: 'generate-3', model_digest: '' })).toEqual([a, b, c]);
  });

  it('is of nothing where a name is not known, or is one of another field', () => {
    expect(graph.select({ model: 'm3' })).toEqual([]);
    expect(graph.select({ model: 'n1' })).toEqual([]);
    expect(graph.select({ artifact_id: idOf('nobody') })).toEqual([]);
    expect(graph.select({ task_id: 'nobody' })).toEqual([]);
  });

  it('is by time from the first instant on and before the second, in any zone', () => {
    expect(graph.select({ from: '2026-11-26T00:00:01Z' })).toEqual([b, c]);
    expect(graph.select({ until: '2026-11-26T01:00:01+01:00' })).toEqual([a]);
    expect(graph.select({ from: '2026-11-26T00:00:01Z', until: '2026-11-26T00:00:02.000Z' })).toEqual([b]);
    expect(graph.select({ from: 'no instant' })).toEqual([]);
  });

  it('by id or by task asks for the rest as well', () => {
    expect(graph.select({ artifact_id: idOf('a') })).toEqual([a]);
    expect(graph.select({ artifact_id: idOf('a'), model: 'm2' })).toEqual([]);
    expect(graph.select({ task_id: derivedId('task', 'b'), node: 'n1' })).toEqual([b]);
    expect(graph.select({ task_id: derivedId('task', 'b'), artifact_id: idOf('a') })).toEqual([]);
  });

  it('names what was never made by its id, and by nothing else', () => {
    expect(graph.select({ artifact_id: idOf('foreign') })).toEqual([foreign]);
    expect(graph.select({ artifact_id: idOf('foreign'), from: '1970-01-01T00:00:00Z' })).toEqual([]);
    expect(graph.select({ until: '2100-01-01T00:00:00Z' })).toEqual([a, b, c]);
    expect(graph.select({})).toEqual([a, foreign, b, c]);
  });

  it('can be held below an index', () => {
    expect(graph.select({ model: 'm1' }, c)).toEqual([a]);
    expect(graph.select({ artifact_id: idOf('c') }, c)).toEqual([]);
    expect(graph.select({ task_id: derivedId('task', 'a') }, 1)).toEqual([a]);
    expect(graph.select({}, 100)).toEqual([a, foreign, b, c]);
  });
});
