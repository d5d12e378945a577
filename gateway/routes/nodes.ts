// Nodes, and the link from an edge node to the core: every call comes from the edge, which may sit behind any firewall.
import { z } from 'zod';
import type { RemotePart } from '../../models/index.js';
import {
  type BATCH_ENCODING,
  batchTakenSchema,
  callsTakenSchema,
  contentSentSchema,
  contentsAskedSchema,
  contentsMissingSchema,
  givePartSchema,
  type JoinedLink,
  joinedLinkSchema,
  joinLinkSchema,
  type LinkBatch,
  linkBatchSchema,
  moveProjectSchema,
  type NodeView,
  nodeBeatSchema,
  nodeIdSchema,
  nodeListSchema,
  outboxQuerySchema,
  type ProjectHome,
  partTakenSchema,
  projectHomeSchema,
  projectIdSchema,
  sha256Schema,
  takeCallsSchema,
  timeoutSignal,
} from '../../schemas/index.js';
import {
  joinNode,
  keepBeat,
  keepContent,
  listNodes,
  missingContents,
  moveProject,
  outboxOf,
  projectHome,
  recognised,
  takeBatch,
} from '../link/index.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { type Call, json, route } from '../table.js';
import { VITALS as vitals } from './node-examples.js';
import { BODY_PROBLEMS } from './taint.js';
import { requesterOf } from './tasks.js';

const HEADERS = { Authorization: "`Bearer` and the node's token." } as const;
const LINK_PROBLEMS = [...BODY_PROBLEMS, 'no_nodes', 'node_unauthorized', ...READ_PROBLEMS] as const;
const TAKE_PROBLEMS = [...LINK_PROBLEMS, 'node_superseded', 'link_busy', 'disk_full'] as const;

const abilities = {
  version: '0.1.0',
  roles: 'gateway, deciders, workers:small+medium+large+qa+analysis+replay',
  models: [{ id: 'ollama-small', runner: 'ollama', tiers: ['small'] }],
  slots: { small: 16, medium: 8, large: 4, qa: 2, analysis: 4, replay: 1 },
  projects: ['edge-1', 'edge-1-*'],
};
const STORE = '0192f0c1-2d3e-7a4b-8c5d-0000000000aa';
const batch: LinkBatch = {
  node_id: 'edge-1',
  epoch: 1,
  topic: 'dats.lifecycle',
  partition: 2,
  first: 1_204,
  next: 1_205,
  count: 0,
  encoding: 'gzip+base64' satisfies typeof BATCH_ENCODING,
  records: 'H4sIAAAAAAAAAwMAAAAAAAAAAAA=',
};
const node: NodeView = {
  id: 'edge-1',
  role: 'edge',
  url: null,
  state: 'connected',
  seen_at: '2026-11-27T09:00:04.000Z',
  admission: 'open',
  epoch: 1,
  store_id: STORE,
  projects: ['edge-1', 'edge-1-*'],
  backlog: 0,
  running_work: 2,
  vitals,
  cursors: { 'dats.lifecycle/2': 1_205 },
  abilities,
};

const JOINED: JoinedLink = {
  core: 'core',
  core_store: '0192f0c1-2d3e-7a4b-8c5d-0000000000cc',
  core_epoch: 1,
  outbox: { partition: 3, end: 12 },
  epoch: 1,
  cursors: node.cursors,
  missing: [],
};
const DIGEST = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

const signalOf = (call: Call, services: Services): AbortSignal =>
  AbortSignal.any([call.signal(), services.closing, timeoutSignal(services.answerMs / 2)]);

const list = route({
  method: 'GET',
  path: '/api/v1/nodes',
  operationId: 'listNodes',
  tag: 'nodes',
  summary: 'All nodes of servers.yaml: which are connected, what they can do, and how far the core has taken them in',
  description:
    'Ask the core: an edge node knows how it is itself, and whether its line to the core is up; of the others only what servers.yaml says.',
  success: [
    {
      status: STATUS.ok,
      description: 'Every node; this one alone where servers.yaml names none.',
      schema: nodeListSchema,
      example: { self: 'core', nodes: [node] },
    },
  ],
  problems: READ_PROBLEMS,
  handle: async (_call, services) => json(STATUS.ok, await listNodes(services)),
});

const joined = route({
  method: 'POST',
  path: '/api/v1/link/join',
  operationId: 'joinNode',
  tag: 'nodes',
  summary: 'An edge node comes, or comes back: what can it do, and how far is it taken in?',
  headers: HEADERS,
  body: { schema: joinLinkSchema, example: { node_id: 'edge-1', store_id: STORE, ...abilities } },
  success: [{ status: STATUS.ok, description: 'From where it is to send.', schema: joinedLinkSchema, example: JOINED }],
  problems: TAKE_PROBLEMS,
  handle: async (call, services) => {
    recognised(services, call.body.node_id, call.header('authorization'));
    return json(STATUS.ok, await joinNode(services, call.body, call.correlationId, signalOf(call, services)));
  },
});

const batches = route({
  method: 'POST',
  path: '/api/v1/link/batches',
  operationId: 'takeBatch',
  tag: 'nodes',
  summary: "A stretch of a partition of an edge node's log",
  description:
    'On disk and taken in when it is answered. The same batch sent again, or one that overlaps, changes nothing; one that leaves a gap is not taken.',
  headers: HEADERS,
  body: { schema: linkBatchSchema, example: batch },
  success: [{ status: STATUS.ok, description: 'How far that partition is taken in.', schema: batchTakenSchema, example: { next: 1_205 } }],
  problems: TAKE_PROBLEMS,
  handle: async (call, services) => {
    recognised(services, call.body.node_id, call.header('authorization'));
    return json(STATUS.ok, await takeBatch(services, call.body, call.correlationId, signalOf(call, services)));
  },
});

const beat = route({
  method: 'POST',
  path: '/api/v1/link/beats',
  operationId: 'takeBeat',
  tag: 'nodes',
  summary: 'An edge node is there, and how it is',
  headers: HEADERS,
  body: { schema: nodeBeatSchema, example: { node_id: 'edge-1', epoch: 1, cursors: node.cursors, backlog: 0, vitals } },
  success: [{ status: STATUS.noContent, description: 'Noted.' }],
  problems: [...LINK_PROBLEMS, 'node_superseded', 'link_busy'],
  handle: async (call, services) => {
    recognised(services, call.body.node_id, call.header('authorization'));
    await keepBeat(services, call.body);
    return { status: STATUS.noContent, headers: {}, body: null };
  },
});

const outbox = route({
  method: 'GET',
  path: '/api/v1/link/outbox',
  operationId: 'getOutbox',
  tag: 'nodes',
  summary: 'What lies here for an edge node: what users asked of its projects, and projects that come to it',
  description:
    'Waits up to `wait_ms` for something to come. Read it with `after` of the newest batch that is on disk there: until then it is handed out again.',
  headers: HEADERS,
  query: outboxQuerySchema,
  patient: true,
  success: [
    {
      status: STATUS.ok,
      description: 'The next stretch.',
      schema: linkBatchSchema,
      example: { ...batch, node_id: 'core', topic: 'dats.outbox' },
    },
    { status: STATUS.noContent, description: 'Nothing came.' },
  ],
  problems: ['invalid_parameter', 'no_nodes', 'node_unauthorized', 'log_unavailable', 'unavailable'],
  handle: async (call, services) => {
    const { node_id, after, wait_ms } = call.query;
    recognised(services, node_id, call.header('authorization'));
    const signal = AbortSignal.any([call.signal(), services.closing, timeoutSignal(wait_ms)]);
    const found = await outboxOf(services, node_id, after, signal);
    return found === undefined ? { status: STATUS.noContent, headers: {}, body: null } : json(STATUS.ok, found);
  },
});

const contentsAsked = route({
  method: 'POST',
  path: '/api/v1/link/contents/missing',
  operationId: 'askContents',
  tag: 'nodes',
  summary: 'Which of these contents are not here? They are to be sent before the events that name them',
  headers: HEADERS,
  body: { schema: contentsAskedSchema, example: { node_id: 'edge-1', sha256: [DIGEST] } },
  success: [{ status: STATUS.ok, description: 'Those that are not here.', schema: contentsMissingSchema, example: { missing: [DIGEST] } }],
  problems: LINK_PROBLEMS,
  handle: async (call, services) => {
    recognised(services, call.body.node_id, call.header('authorization'));
    return json(STATUS.ok, { missing: await missingContents(services, call.body.sha256) });
  },
});

const contentSent = route({
  method: 'POST',
  path: '/api/v1/link/contents',
  operationId: 'sendContent',
  tag: 'nodes',
  summary: 'A content, under its digest',
  headers: HEADERS,
  body: { schema: contentSentSchema, example: { node_id: 'edge-1', sha256: DIGEST, base64: 'dGVzdA==' } },
  success: [{ status: STATUS.noContent, description: 'On disk.' }],
  problems: [...LINK_PROBLEMS, 'disk_full'],
  handle: async (call, services) => {
    const { node_id, sha256, base64 } = call.body;
    recognised(services, node_id, call.header('authorization'));
    await keepContent(services, sha256, base64);
    return { status: STATUS.noContent, headers: {}, body: null };
  },
});

const content = route({
  method: 'GET',
  path: '/api/v1/link/contents/{sha256}',
  operationId: 'getContent',
  tag: 'nodes',
  summary: 'A content, for an edge node that is to have an event which names it',
  headers: HEADERS,
  params: z.strictObject({ sha256: sha256Schema }),
  query: z.strictObject({ node_id: nodeIdSchema }),
  success: [{ status: STATUS.ok, description: 'Its bytes.', contentType: 'application/octet-stream' }],
  problems: ['invalid_parameter', 'no_nodes', 'node_unauthorized', 'content_missing', 'unavailable'],
  handle: async (call, services) => {
    recognised(services, call.query.node_id, call.header('authorization'));
    const bytes = await services.deps.artifacts.get(call.params.sha256);
    return { status: STATUS.ok, headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) };
  },
});

const calls = route({
  method: 'POST',
  path: '/api/v1/link/calls/take',
  operationId: 'takeCalls',
  tag: 'nodes',
  summary: 'An edge node comes for calls of its models',
  description: 'Waits up to `wait_ms` for one. A call is lent: the node says something of it every few seconds, else it is made elsewhere.',
  headers: HEADERS,
  body: { schema: takeCallsSchema, example: { node_id: 'edge-1', models: [{ id: 'edge-1-small', ok: true }], wait_ms: 10_000 } },
  patient: true,
  success: [
    {
      status: STATUS.ok,
      description: 'Those that wait; none when nothing came.',
      schema: callsTakenSchema,
      example: {
        calls: [
          {
            call_id: STORE,
            model: 'edge-1-small',
            wish: { kind: 'generate', request: { messages: [{ role: 'user', content: 'Write a haiku' }] } },
          },
        ],
      },
    },
  ],
  problems: [...LINK_PROBLEMS],
  handle: async (call, services) => {
    const { node_id, models, wait_ms } = call.body;
    const { exchange } = recognised(services, node_id, call.header('authorization'));
    const signal = AbortSignal.any([call.signal(), services.closing, timeoutSignal(wait_ms)]);
    const offered = models.map(({ id, ok, detail }) => (detail === undefined ? { id, ok } : { id, ok, detail }));
    return json(STATUS.ok, { calls: await exchange.take(node_id, offered, signal, call.signal()) });
  },
});

const parts = route({
  method: 'POST',
  path: '/api/v1/link/calls/{call_id}/parts',
  operationId: 'givePart',
  tag: 'nodes',
  summary: 'What came of a call so far, or that it goes on',
  headers: HEADERS,
  params: z.strictObject({ call_id: z.string().min(1).max(64) }),
  body: { schema: givePartSchema, example: { node_id: 'edge-1', chunks: [{ kind: 'text', text: 'An old silent pond' }] } },
  success: [{ status: STATUS.ok, description: 'Whether anybody waits for more.', schema: partTakenSchema, example: { wanted: true } }],
  problems: [...LINK_PROBLEMS],
  handle: async (call, services) => {
    const { node_id, ...part } = call.body;
    const { exchange } = recognised(services, node_id, call.header('authorization'));
    return json(STATUS.ok, { wanted: await exchange.give(node_id, call.params.call_id, part as RemotePart) });
  },
});

const projectParams = z.strictObject({ project_id: projectIdSchema });
const HOME: ProjectHome = { project_id: 'edge-1-docs', home: 'edge-1', moving_to: null };

const home = route({
  method: 'GET',
  path: '/api/v1/projects/{project_id}/home',
  operationId: 'getProjectHome',
  tag: 'nodes',
  summary: 'Which node decides a project, and whether it is on its way to another one',
  params: projectParams,
  success: [{ status: STATUS.ok, description: 'As far as this node knows.', schema: projectHomeSchema, example: HOME }],
  problems: ['invalid_parameter', ...READ_PROBLEMS],
  handle: async (call, services) => json(STATUS.ok, await projectHome(services, call.params.project_id)),
});

const move = route({
  method: 'POST',
  path: '/api/v1/projects/{project_id}/move',
  operationId: 'moveProject',
  tag: 'nodes',
  summary: 'Have a project decided on another node',
  description:
    'Its home begins nothing more of it, lets what runs end, says one last word, and hands it over with its whole history. What is asked of it meanwhile waits. Where a node is cut off, it waits for that too.',
  params: projectParams,
  body: { schema: moveProjectSchema, example: { to: 'core', reason: 'the van is back' } },
  success: [
    {
      status: STATUS.accepted,
      description: 'Asked for, or there already.',
      schema: projectHomeSchema,
      example: { ...HOME, moving_to: 'core' },
    },
  ],
  problems: [...BODY_PROBLEMS, 'no_nodes', 'project_moving', ...READ_PROBLEMS, 'disk_full'],
  handle: async (call, services) =>
    json(STATUS.accepted, await moveProject(services, call.params.project_id, call.body, requesterOf(call))),
});

export const nodeRoutes = [list, joined, batches, beat, outbox, contentsAsked, contentSent, content, calls, parts, home, move];
