// The graph of one project in memory, in numbers: about 300 bytes an artifact with five edges, and some KiB for a project of three artifacts. graph.ts says what it
// answers (N1-N4).
//
// G1. It is what it was told, and nothing else: no clock, no randomness, no I/O. G2. An `add` is all or nothing: what can fail (a digest that is none) comes before
// anything that can be seen. G3. Its parts are records and functions over them, not objects with functions: those would be most of a small project's graph.
import { addEdge, beginEdgesTo, childrenOf, fitAdjacency, openAdjacency, parentsOf } from './adjacency.js';
import { closureOf } from './closure.js';
import { areVersions, factsAt, fitFacts, hasFacts, offsetAt, openFacts, pathAt, putFacts, taskAt } from './facts.js';
import type { ArtifactFact, Graph } from './graph.js';
import { idAt, internId, numberOfId, openIdIndex } from './id-index.js';
import { openInterner } from './interner.js';
import { madeBy, openMadeBy, putMade } from './made-by.js';
import { selectionOf } from './selection.js';
import { openVisits } from './visits.js';

/** What one `add` has consumed so far. */
const consumedSoFar = openVisits();

export const openGraph = (): Graph => {
  const ids = openIdIndex();
  const tasks = openIdIndex();
  const facts = openFacts(openInterner());
  const adjacency = openAdjacency();
  const made = openMadeBy();

  /** The index of an id, which it is given where it has none. */
  const place = (id: string): number => {
    const index = internId(ids, id);
    fitFacts(facts, ids.size);
    fitAdjacency(adjacency, ids.size);
    return index;
  };

  const connect = (child: number, consumed: readonly string[]): void => {
    beginEdgesTo(adjacency, child);
    consumedSoFar.begin(ids.size + consumed.length);
    const { stamps, stamp } = consumedSoFar;
    stamps[child] = stamp;
    for (const id of consumed) {
      const parent = place(id);
      if (stamps[parent] === stamp) continue;
      stamps[parent] = stamp;
      addEdge(adjacency, parent, child);
    }
  };

  const add = (fact: ArtifactFact, consumed: readonly string[]): number => {
    const known = numberOfId(ids, fact.artifact_id);
    if (hasFacts(facts, known)) return known;
    const task = internId(tasks, fact.task_id);
    const index = known < 0 ? ids.size : known;
    fitFacts(facts, index + 1);
    putFacts(facts, index, task, fact);
    place(fact.artifact_id);
    putMade(made, task, index);
    connect(index, consumed);
    return index;
  };

  const factAt = (index: number): ArtifactFact | undefined =>
    hasFacts(facts, index)
      ? { artifact_id: idAt(ids, index), task_id: idAt(tasks, taskAt(facts, index)), ...factsAt(facts, index) }
      : undefined;

  const madeByTask = (taskId: string): readonly number[] => madeBy(made, numberOfId(tasks, taskId));

  return {
    get size() {
      return ids.size;
    },
    get edges() {
      return adjacency.edges;
    },
    add,
    indexOf: (id) => numberOfId(ids, id),
    idOf: (index) => idAt(ids, index),
    has: (index) => hasFacts(facts, index),
    taskAt: (index) => (hasFacts(facts, index) ? taskAt(facts, index) : -1),
    pathAt: (index) => (hasFacts(facts, index) ? pathAt(facts, index) : -1),
    offsetAt: (index) => (hasFacts(facts, index) ? offsetAt(facts, index) : -1),
    factAt,
    madeBy: madeByTask,
    children: (index) => childrenOf(adjacency, index),
    parents: (index) => parentsOf(adjacency, index),
    edgeKind: (parent, child) => (areVersions(facts, parent, child) ? 'derived' : 'informed'),
    select: (selector, below = ids.size) => selectionOf(selector, { ids, facts, madeBy: madeByTask }, below),
    closure: (roots, options) => closureOf(adjacency, ids.size, roots, options),
  };
};
