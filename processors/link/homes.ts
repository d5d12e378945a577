// Where projects are decided: every project has one home, a node.
//
// W1. The list of nodes is the same on all of them, so all of them name the same home: the first edge node with a pattern that fits, else the core.
import { matchesAny } from '../../models/index.js';
import type { NodeEntry, Servers } from '../../schemas/index.js';

export interface Homes {
  /** The node that this is. */
  readonly self: string;
  /** The core; undefined where there is one node only. */
  readonly core: NodeEntry | undefined;
  /** Nodes that dial the core. */
  readonly edges: readonly NodeEntry[];
  homeOf(project: string): string;
  /** Is it decided here? */
  isHere(project: string): boolean;
  /** Is it a node of the list? */
  knows(node: string): boolean;
}

/** Projects whose home is looked up once. */
const REMEMBERED = 10_000;

export const projectsOf = ({ id, projects }: NodeEntry): readonly string[] => projects ?? [id, `${id}-*`];

export const homesIn = ({ node, nodes }: Pick<Servers, 'node' | 'nodes'>): Homes => {
  const core = nodes.find(({ url }) => url !== undefined);
  const edges = nodes.filter((entry) => entry !== core);
  const claims = edges.map((entry) => ({ id: entry.id, patterns: projectsOf(entry) }));
  const found = new Map<string, string>();
  const homeOf = (project: string): string => {
    const known = found.get(project);
    if (known !== undefined) return known;
    const home = claims.find(({ patterns }) => matchesAny(patterns, project))?.id ?? core?.id ?? node.id;
    if (found.size < REMEMBERED) found.set(project, home);
    return home;
  };
  const ids = new Set(nodes.map(({ id }) => id));
  return {
    self: node.id,
    core,
    edges,
    homeOf,
    isHere: (project) => homeOf(project) === node.id,
    knows: (id) => ids.has(id),
  };
};
