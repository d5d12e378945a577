// What is bad, and what was built on it: taint, impact.
import { z } from 'zod';
import { impactNodes, impactOf, pricingOf, selected } from '../../processors/cascade/index.js';
import { type ImpactAnswer, impactAnswerSchema, impactQuerySchema, taintAnswerSchema, taintSchema } from '../../schemas/index.js';
import { homeOf, inHistory, KEY_HEADER, KNOWLEDGE_PROBLEMS, taint } from '../cascade/index.js';
import { keyOf } from '../idempotency-key.js';
import { STATUS } from '../problem.js';
import { findTask } from '../reads.js';
import type { Services } from '../services.js';
import { json, route } from '../table.js';
import { CASCADE_EXAMPLES } from './cascade-examples.js';
import { requesterOf } from './tasks.js';

export const BODY_PROBLEMS = [
  'malformed_json',
  'invalid_parameter',
  'body_too_large',
  'unsupported_media_type',
  'validation_failed',
] as const;
export const REPLAYED = { 'Idempotent-Replayed': '`true` when the key was used before.' } as const;

const post = route({
  method: 'POST',
  path: '/api/v1/taint',
  operationId: 'taint',
  traced: true,
  patient: true,
  tag: 'cascades',
  summary: 'Taint artifacts, and what was built on them',
  description:
    'Names artifacts by id, task, model, prompt, node, configuration or time; all of what is given has to hold. Begins one cascade in the project, or, without `project_id`, in every ' +
    'project where something fits, all or none. With `dry_run` it answers with the impact, and nothing is done.',
  headers: KEY_HEADER,
  body: { schema: taintSchema, example: CASCADE_EXAMPLES.taint },
  success: [
    {
      status: STATUS.accepted,
      description: 'Begun; the requests are on disk.',
      schema: taintAnswerSchema,
      example: CASCADE_EXAMPLES.taintAnswer,
      headers: { Location: 'Where the cascade is, where it is one.', ...REPLAYED },
    },
    {
      status: STATUS.ok,
      description: 'Nothing was done: a dry run, or nothing fits.',
      schema: taintAnswerSchema,
      example: CASCADE_EXAMPLES.impactOnly,
    },
  ],
  problems: [
    ...BODY_PROBLEMS,
    'project_not_found',
    'artifact_not_found',
    'task_not_found',
    'idempotency_key_reused',
    ...KNOWLEDGE_PROBLEMS,
    'disk_full',
  ],
  handle: async (call, services) => {
    const key = keyOf(call);
    const { answer, begun, replayed } = await inHistory(services, () => taint(services, call.body, requesterOf(call), key));
    const response = json(begun ? STATUS.accepted : STATUS.ok, answer);
    const [only, ...more] = answer.cascades;
    if (begun && only !== undefined && more.length === 0) response.headers.location = `/api/v1/cascades/${only.cascade_id}`;
    if (replayed) response.headers['idempotent-replayed'] = 'true';
    return response;
  },
});

const impactOfId = async (services: Services, id: string, query: z.infer<typeof impactQuerySchema>): Promise<ImpactAnswer> => {
  const { deps } = services;
  const isTask = (await findTask(deps, id)) !== undefined;
  const project = (await homeOf(services, isTask ? { task_id: id } : { artifact_id: id }))!;
  const began = performance.now();
  const roots = selected(project, isTask ? { task_id: id } : { artifact_id: id });
  const { direction, depth, limit } = query;
  const found = impactOf(project, roots, { direction, maxDepth: depth }, pricingOf(deps.config));
  const nodes = [...impactNodes(project, found, direction, limit)];
  const took_ms = Math.round((performance.now() - began) * 1_000) / 1_000;
  return { id, impact: found.impact, nodes, truncated: found.impact.artifacts > nodes.length, took_ms };
};

const impact = route({
  method: 'GET',
  path: '/api/v1/impact/{id}',
  operationId: 'getImpact',
  patient: true,
  tag: 'cascades',
  summary: 'What was built on an artifact, or on what a task made',
  description:
    'Breadth first, each artifact once, whatever revalidation would clear. The forecast is what it took to make all of it. With `direction=up`: what it was made from.',
  params: z.strictObject({ id: z.string().min(1).max(64).meta({ description: 'Of an artifact or a task.' }) }),
  query: impactQuerySchema,
  success: [{ status: STATUS.ok, description: 'The impact.', schema: impactAnswerSchema, example: CASCADE_EXAMPLES.impact }],
  problems: ['invalid_parameter', 'artifact_not_found', 'task_not_found', ...KNOWLEDGE_PROBLEMS],
  handle: async (call, services) => json(STATUS.ok, await inHistory(services, () => impactOfId(services, call.params.id, call.query))),
});

export const taintRoutes = [post, impact];
