// Documents: where things are, the API description, the explanation of each problem.
import { z } from 'zod';
import { type AsyncApi, asyncApiDocument, LIFECYCLE } from '../../schemas/index.js';
import { escapeHtml, page, renderDocs } from '../docs.js';
import { PROBLEMS, problemBySlug, refuse, STATUS, slugOf } from '../problem.js';
import type { Services } from '../services.js';
import { type Answer, json, route } from '../table.js';

const html = (body: string): Answer => ({
  status: STATUS.ok,
  headers: {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
  },
  body,
});

const WHERE = `DATS, a distributed agentic task system.

POST /api/v1/tasks                  submit a task
GET  /api/v1/tasks/{task_id}        its state
GET  /api/v1/tasks/{task_id}/events its events, live
GET  /api/v1/tasks/{task_id}/stream what the model says about it, live
GET  /api/v1/provenance/{id}        how something came to be
POST /api/v1/query                  ask history in SQL
POST /v1/chat/completions           ask a model, as any OpenAI client does
GET  /docs                          everything else, to read
GET  /openapi.json                  everything else, for tools
GET  /asyncapi.json                 the events on Kafka, for tools
GET  /health                        how it is
GET  /metrics                       how it is, for Prometheus
`;

const root = route({
  method: 'GET',
  path: '/',
  operationId: 'getRoot',
  tag: 'documents',
  summary: 'Where things are',
  success: [{ status: STATUS.ok, description: 'A short text.', contentType: 'text/plain' }],
  problems: [],
  handle: () => ({ status: STATUS.ok, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: WHERE }),
});

const openapi = route({
  method: 'GET',
  path: '/openapi.json',
  operationId: 'getOpenApi',
  tag: 'documents',
  summary: 'This document',
  success: [{ status: STATUS.ok, description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) }],
  problems: [],
  handle: (_call, services) => json(STATUS.ok, services.openapi()),
});

/** Made once a gateway: nothing in it changes while one runs. */
const eventDocuments = new WeakMap<Services, AsyncApi>();

const eventDocumentOf = (services: Services): AsyncApi => {
  const known = eventDocuments.get(services);
  if (known !== undefined) return known;
  const { version, log } = services.deps;
  const made = asyncApiDocument({ version, partitions: log.partitions(LIFECYCLE) });
  eventDocuments.set(services, made);
  return made;
};

const asyncapi = route({
  method: 'GET',
  path: '/asyncapi.json',
  operationId: 'getAsyncApi',
  tag: 'documents',
  summary: 'The events on Kafka: topics, messages, who sends and receives what',
  success: [{ status: STATUS.ok, description: 'AsyncAPI 3.0.', schema: z.record(z.string(), z.unknown()) }],
  problems: [],
  handle: (_call, services) => json(STATUS.ok, eventDocumentOf(services)),
});

const docs = route({
  method: 'GET',
  path: '/docs',
  operationId: 'getDocs',
  tag: 'documents',
  summary: 'The API to read',
  success: [{ status: STATUS.ok, description: 'A page.', contentType: 'text/html' }],
  problems: [],
  handle: (_call, services) => html(renderDocs(services.openapi())),
});

const problem = route({
  method: 'GET',
  path: '/problems/{slug}',
  operationId: 'explainProblem',
  tag: 'documents',
  summary: 'What a problem means and what to do: every `type` of a problem leads here',
  params: z.strictObject({ slug: z.string().min(1).max(64) }),
  success: [{ status: STATUS.ok, description: 'A page.', contentType: 'text/html' }],
  problems: ['invalid_parameter', 'not_found'],
  handle: (call) => {
    const kind = problemBySlug(call.params.slug);
    if (kind === undefined)
      throw refuse('not_found', `no problem is called "${call.params.slug}"; there are: ${Object.keys(PROBLEMS).map(slugOf).join(', ')}`);
    return html(
      page(
        kind.title,
        `<h1>${escapeHtml(kind.title)}</h1><p>Status ${kind.status}, code <code>${escapeHtml(kind.code)}</code></p><p>${escapeHtml(kind.explain)}</p>`,
      ),
    );
  },
});

export const documentRoutes = [root, openapi, asyncapi, docs, problem];
