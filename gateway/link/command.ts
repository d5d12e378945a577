// What an operator asks of a node: to take no new work, to take it again, or to be ready to be stopped. It goes into the node's own log: here, or with the next line.
import {
  attributesOf,
  type DataOf,
  type DatsEvent,
  LINKED_TOPIC,
  NO_PROJECT,
  NODES,
  type NodeCommand,
  type NodeCommandAnswer,
  newId,
  OUTBOX,
} from '../../schemas/index.js';
import { type Outgoing, outgoing } from '../../streams/index.js';
import { ANONYMOUS, type Requester } from '../commands.js';
import { refuse } from '../problem.js';
import { saidEvent } from '../said.js';
import type { Services } from '../services.js';

export type Wanted = NodeCommandAnswer['admission'];

const eventOf = (
  services: Services,
  node_id: string,
  wanted: Wanted,
  { reason, by = ANONYMOUS }: NodeCommand,
  requester: Requester,
): DatsEvent => {
  const type = wanted === 'open' ? 'dats.node.uncordoned' : 'dats.node.cordoned';
  const data: DataOf<'dats.node.cordoned'> = { node_id, by, ...(reason === undefined ? {} : { reason }) };
  if (wanted === 'draining') data.drain = true;
  return saidEvent(services, type, node_id, data, { projectId: NO_PROJECT, by, eventId: newId(), requester });
};

/** For a node's own log, by way of the outbox. */
const toNode = (node: string, event: DatsEvent): Outgoing => ({
  topic: OUTBOX,
  key: node,
  headers: { ...attributesOf(event), [LINKED_TOPIC]: NODES },
  value: JSON.stringify(event.data),
});

/** @throws Fault `node_not_found`, `node_elsewhere`, of the log */
export const commandNode = async (
  services: Services,
  node_id: string,
  wanted: Wanted,
  command: NodeCommand,
  requester: Requester,
): Promise<NodeCommandAnswer> => {
  const { config, nodes, log } = services.deps;
  const self = config.node.id;
  const here = node_id === self;
  if (!here && !config.nodes.some(({ id }) => id === node_id)) {
    const known = config.nodes.length === 0 ? self : config.nodes.map(({ id }) => id).join(', ');
    throw refuse('node_not_found', `no node "${node_id}" in servers.yaml; there is ${known}`);
  }
  if (!here && nodes?.core?.id !== self)
    throw refuse('node_elsewhere', `only "${node_id}" itself and the core can be asked that; the core is at ${nodes?.core?.url}`);
  const event = eventOf(services, node_id, wanted, command, requester);
  await log.append([here ? outgoing(NODES, event, node_id) : toNode(node_id, event)]);
  return { node_id, admission: wanted, here };
};
