// What operators ask of nodes.
import { z } from 'zod';
import { type NodeCommandAnswer, nodeCommandAnswerSchema, nodeCommandSchema, nodeIdSchema } from '../../schemas/index.js';
import { commandNode } from '../link/index.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { BODY_PROBLEMS } from './taint.js';
import { requesterOf } from './tasks.js';

const nodeParams = z.strictObject({ node_id: nodeIdSchema });
const COMMAND_PROBLEMS = [...BODY_PROBLEMS, 'node_not_found', 'node_elsewhere', ...READ_PROBLEMS, 'disk_full'] as const;
const COMMANDED = 'Asked for. `here` false: it is another node, which gets it with the next line.';

const command = (path: 'cordon' | 'uncordon' | 'drain', admission: NodeCommandAnswer['admission'], summary: string, description: string) =>
  route({
    method: 'POST',
    path: `/api/v1/nodes/{node_id}/${path}`,
    operationId: `${path}Node`,
    tag: 'nodes',
    summary,
    description,
    params: nodeParams,
    body: { schema: nodeCommandSchema, example: { reason: 'a new driver', by: 'ada' } },
    success: [
      {
        status: STATUS.accepted,
        description: COMMANDED,
        schema: nodeCommandAnswerSchema,
        example: { node_id: 'edge-1', admission, here: false },
      },
    ],
    problems: COMMAND_PROBLEMS,
    handle: async (call, services) =>
      json(STATUS.accepted, await commandNode(services, call.params.node_id, admission, call.body, requesterOf(call))),
  });

const cordon = command(
  'cordon',
  'cordoned',
  'Have a node take no new work',
  'What runs goes on; tasks that are submitted there are answered 503, those that come by the core wait. Reads and cancelling go on. It holds after a restart.',
);
const uncordon = command('uncordon', 'open', 'Have a node take new work again', 'What waited goes on.');
const drain = command(
  'drain',
  'draining',
  'Make a node ready to be stopped',
  'It takes no new work, lets what runs end, and sends the core all it has; then `admission` of GET /api/v1/nodes is `drained`. Cut off, it waits for the line.',
);

export const nodeCommandRoutes = [cordon, uncordon, drain];
