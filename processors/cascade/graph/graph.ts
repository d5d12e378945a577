// Which artifact was made from which, of one project: the contract. Only adds; what was added never changes.
//
// N1. An artifact has an index: the order in which its id was first seen. The same facts in the same order give the same indexes. N2. An id that was consumed and
// never made (of another history, or not yet made) has an index too, and no fact. N3. Edges may go anywhere, in a circle too: closures visit each artifact once.
// N4. An edge is `derived` where both ends are versions of the same path or have the same content, else `informed`.
import type { EdgeKind, Selector } from '../../../schemas/index.js';

/** What is known of an artifact from the event that made it. */
export interface ArtifactFact {
  readonly artifact_id: string;
  readonly task_id: string;
  readonly attempt: number;
  readonly path: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly model: string;
  /** Empty where the runner does not tell it. */
  readonly model_digest: string;
  readonly prompt_version: string;
  /** That did the work; empty where it is not known. */
  readonly node: string;
  readonly config_version: string;
  /** Of its event, in the project's partition. */
  readonly offset: number;
  /** Milliseconds since the epoch. */
  readonly time_ms: number;
}

export interface ClosureOptions {
  /** `down`: what was made from it; `up`: what it was made from. */
  readonly direction?: 'down' | 'up';
  /** Steps at most; default: no limit. */
  readonly maxDepth?: number;
  /** Artifacts at most, roots included; default: no limit. */
  readonly maxArtifacts?: number;
}

/** Breadth first; the roots come first, in the order given, each once. */
export interface Closure {
  readonly nodes: Int32Array;
  /** Steps from the nearest root, by place in `nodes`. */
  readonly depths: Int32Array;
  /** The artifact through which it was reached first, by place in `nodes`; -1: a root. */
  readonly via: Int32Array;
  /** The deepest. */
  readonly depth: number;
  /** A limit left something out. */
  readonly cut: boolean;
}

export interface Graph {
  /** Indexes given so far. */
  readonly size: number;
  readonly edges: number;
  /** Adds an artifact and the edges from what it was made from. An artifact that has its fact already is left as it is. @returns its index */
  add(fact: ArtifactFact, consumed: readonly string[]): number;
  /** -1: not known. */
  indexOf(artifactId: string): number;
  idOf(index: number): string;
  /** Was it made? Cheap, as `taskAt`; `factAt` puts texts together. */
  has(index: number): boolean;
  /** Number of the task that made it, the same for the same task; -1: never made. `pathAt`: likewise. */
  taskAt(index: number): number;
  pathAt(index: number): number;
  /** Of its event; -1: never made. */
  offsetAt(index: number): number;
  /** Undefined: never made (N2). */
  factAt(index: number): ArtifactFact | undefined;
  /** Indexes of what a task made, in order. */
  madeBy(taskId: string): readonly number[];
  /** Made from it, in the order in which the edges were added. */
  children(index: number): readonly number[];
  parents(index: number): readonly number[];
  /** N4. */
  edgeKind(parent: number, child: number): EdgeKind;
  /** Indexes for which all of the selector holds, in order. `below`: only of indexes below it. */
  select(selector: Selector, below?: number): readonly number[];
  closure(roots: Iterable<number>, options?: ClosureOptions): Closure;
}
