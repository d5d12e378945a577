// Which artifact was made from which, of one project, in memory: what a cascade, an impact or a rollback reaches.
export type { ArtifactFact, Closure, ClosureOptions, Graph } from './graph.js';
export { openGraph } from './open-graph.js';
