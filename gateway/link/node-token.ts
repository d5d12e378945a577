// Is it the node that it says it is? A shared token, compared in constant time; it is never logged, stored or shown.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Nodes } from '../deps.js';
import { refuse } from '../problem.js';
import type { Services } from '../services.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The other nodes, where this is the core. @throws Fault `no_nodes`, `node_unauthorized` */
export const recognised = ({ deps }: Pick<Services, 'deps'>, node: string, authorization: string | null): Nodes => {
  const { nodes } = deps;
  if (nodes?.core?.id !== nodes?.self || nodes === undefined)
    throw refuse('no_nodes', 'this node is not the core of several: nothing can be linked to it');
  const expected = nodes.edges.some(({ id }) => id === node) ? nodes.tokenOf(node) : undefined;
  const given = /^Bearer (.{1,4096})$/.exec(authorization ?? '')?.[1];
  if (expected === undefined || given === undefined || !timingSafeEqual(digest(expected), digest(given)))
    throw refuse(
      'node_unauthorized',
      `node "${node}" is not recognised: it is no edge node of this core, or its token is not the one that is set here`,
    );
  return nodes;
};
