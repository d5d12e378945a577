// Random histories with cascades and rollbacks, cut by crashes: what comes out is what a few lines of recursion say, and every statement is made once.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RevalidationVerdict } from '../../schemas/index.js';
import { isCascadeEvent, openProject, slim, take } from './index.js';
import { type CascadeWorld, openCascadeWorld, requestOf } from './testing/cascade-world.js';

const RUNS = 150;
const PATHS = ['a.py', 'b.py', 'c.py', 'd.py'];

interface Node {
  readonly id: string;
  readonly path: string;
  readonly from: readonly string[];
}

const history = fc.record({
  tasks: fc.array(fc.record({ path: fc.nat(PATHS.length - 1), from: fc.array(fc.nat(30), { maxLength: 3 }) }), {
    minLength: 2,
    maxLength: 20,
  }),
  roots: fc.array(fc.nat(30), { minLength: 1, maxLength: 3 }),
  /** Whether an artifact fails its check without what it was made from: by place of the one and of the other. */
  needs: fc.array(fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }), { minLength: 20, maxLength: 20 }),
  /** How many records a turn reads, and whether a crash follows it. */
  turns: fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean()), { maxLength: 60 }),
  crashAtEnd: fc.boolean(),
});

const build = (world: CascadeWorld, tasks: readonly { readonly path: number; readonly from: readonly number[] }[]): readonly Node[] => {
  const nodes: Node[] = [];
  tasks.forEach(({ path, from }, i) => {
    const name = PATHS[path]!;
    const consumed = [...new Set(from.filter((n) => n < nodes.length).map((n) => nodes[n]!.id))];
    const id = world.make(`t${i}`, { [name]: `text ${i}` }, consumed)[name]!;
    nodes.push({ id, path: name, from: consumed });
  });
  return nodes;
};

/** Does the artifact fail its check without the others? */
type Fails = (id: string, without: readonly string[]) => boolean;

/** Tainted: the roots; what derives from something tainted; what was read beside something tainted and fails without it. */
const taintedOf = (nodes: readonly Node[], roots: ReadonlySet<string>, fails: Fails): ReadonlySet<string> => {
  const tainted = new Set(roots);
  const pathOf = new Map(nodes.map(({ id, path }) => [id, path]));
  for (let grown = true; grown; ) {
    grown = false;
    for (const { id, path, from } of nodes) {
      if (tainted.has(id)) continue;
      const touched = from.filter((each) => tainted.has(each));
      if (!touched.some((each) => pathOf.get(each) === path) && !fails(id, touched)) continue;
      tainted.add(id);
      grown = true;
    }
  }
  return tainted;
};

const driven = (
  given: { readonly turns: readonly (readonly [number, boolean])[]; readonly crashAtEnd: boolean },
  world: CascadeWorld,
): void => {
  for (const [count, crashes] of given.turns) {
    world.turn(count);
    if (crashes) world.crash();
  }
  if (given.crashAtEnd) world.crash();
  world.settle();
};

describe('random histories with crashes', () => {
  it('taint exactly what is to be tainted, each cascade ends once, and no statement is made twice', () => {
    fc.assert(
      fc.property(history, (given) => {
        const places = new Map<string, number>();
        const fails: Fails = (id, without) => without.some((other) => given.needs[places.get(id)!]![places.get(other)!] === true);
        const world = openCascadeWorld((id, without): RevalidationVerdict => (fails(id, without) ? 'failed' : 'cleared'));
        const nodes = build(world, given.tasks);
        for (const [i, { id }] of nodes.entries()) places.set(id, i);
        const roots = new Set(given.roots.map((n) => nodes[n % nodes.length]!.id));
        [...roots].forEach((artifact_id, i) => void world.append('dats.cascade.requested', requestOf(`c${i}`, { artifact_id })));
        driven(given, world);

        const { graph, marks } = world.project;
        const tainted = nodes.filter(({ id }) => marks.of(graph.indexOf(id)) === 'tainted').map(({ id }) => id);
        expect(tainted.sort()).toEqual([...taintedOf(nodes, roots, fails)].sort());
        expect(nodes.filter(({ id }) => marks.of(graph.indexOf(id)) === 'suspect')).toEqual([]);
        expect(
          world
            .of('dats.cascade.completed')
            .map(({ data }) => [data.cascade_id, data.outcome])
            .sort(),
        ).toEqual([...roots].map((_, i) => [`c${i}`, 'completed']));
        const ids = world.log.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
      }),
      { numRuns: RUNS },
    );
  });

  it('give the same state to whoever folds them, slim or whole, at once or resumed', () => {
    fc.assert(
      fc.property(history, fc.nat(), (given, cut) => {
        const world = openCascadeWorld();
        const nodes = build(world, given.tasks);
        world.append('dats.cascade.requested', requestOf('c0', { artifact_id: nodes[given.roots[0]! % nodes.length]!.id }));
        driven(given, world);
        world.append('dats.rollback.requested', {
          rollback_id: 'r0',
          target: { kind: 'cascade', cascade_id: 'c0' },
          tasks: 'keep',
          reason: '',
          by: '',
        });
        world.settle();
        const again = openProject('p', 0);
        const at = cut % world.log.length;
        world.log.forEach((event, offset) => {
          if (isCascadeEvent(event)) take(again, offset < at ? slim(event) : event, offset);
          if (offset === at && isCascadeEvent(event)) take(again, event, offset);
        });
        const shown = (project: typeof again) => ({
          marks: nodes.map(({ id }) => project.marks.of(project.graph.indexOf(id))),
          heads: PATHS.map((path) => project.versions.head(path)),
          cascades: [...project.cascades.values()].map(({ chain: _, ...rest }) => rest),
          rollbacks: [...project.rollbacks.values()].map(({ chain: _, ...rest }) => rest),
          tasks: [...project.tasks.values()],
        });
        expect(shown(again)).toEqual(shown(world.project));
      }),
      { numRuns: RUNS },
    );
  });

  it('a rollback of a cascade leaves nothing tainted standing, and its own rollback lets stand what stood', () => {
    fc.assert(
      fc.property(history, (given) => {
        const world = openCascadeWorld(() => 'failed');
        const nodes = build(world, given.tasks);
        world.append('dats.cascade.requested', requestOf('c0', { artifact_id: nodes[given.roots[0]! % nodes.length]!.id }));
        world.settle();
        const heads = () => PATHS.map((path) => world.project.versions.head(path));
        const before = heads();
        world.append('dats.rollback.requested', {
          rollback_id: 'r0',
          target: { kind: 'cascade', cascade_id: 'c0' },
          tasks: 'keep',
          reason: '',
          by: '',
        });
        driven(given, world);
        expect(heads().filter((index) => index >= 0 && world.project.marks.of(index) !== 'clean')).toEqual([]);
        world.append('dats.rollback.requested', {
          rollback_id: 'r1',
          target: { kind: 'rollback', rollback_id: 'r0' },
          tasks: 'keep',
          reason: '',
          by: '',
        });
        driven(given, world);
        expect(heads()).toEqual(before);
        const ids = world.log.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
      }),
      { numRuns: RUNS },
    );
  });
});
