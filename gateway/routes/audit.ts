// Tamper evidence: is a project's history the one that was signed, proofs of single events, and all of it to take away. Asked of the log.

import { z } from 'zod';
import { AUDIT_PROOF_FORMAT, auditCheckpointsSchema, auditProofSchema, auditReportSchema, projectIdSchema } from '../../schemas/index.js';
import { AUDIT_PROBLEMS, auditOf, bundleStream, listCheckpoints, patiently, prove, verifyProject } from '../audit/index.js';
import { STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { type Call, json, route } from '../table.js';

const EXAMPLE_VKEY = 'dats/projects+5c1d9691+AYqIXtJZ0Z8t3mVSoSBJpPyMCRSjMqK5DcUL4BkKpUvX';
const EXAMPLE_ROOT = 'wRDG+wBmR/c1JfE0bWdBFnFH3A7JnAzR5WRpVkGNWz0=';
const EXAMPLE_NOTE = `dats/projects/demo\n1\n${EXAMPLE_ROOT}\n\n— dats/projects XB2WkfhBc5W6ifhGhTqqxPVqIgDZ4Bpu1SOX0LieHI2AX1yypaQr+a2U6n75MsXkCmnyy0eDaMrNnH8C15kfxyk0zA4=\n`;
const EXAMPLES = {
  report: {
    project_id: 'demo',
    ok: false,
    events: 1_203,
    size: 1_200,
    root: EXAMPLE_ROOT,
    covered: 1_199,
    uncovered: 3,
    checkpoints: { total: 12, verified: 12 },
    vkey: EXAMPLE_VKEY,
    problems: [
      {
        kind: 'changed' as const,
        message: 'dats.task.output.created 0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3 at offset 512 is not what was signed as leaf 498',
        offset: 512,
        leaf: 498,
        event_id: '0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3',
        type: 'dats.task.output.created',
      },
    ],
    problems_total: 1,
  },
  proof: {
    format: AUDIT_PROOF_FORMAT,
    project_id: 'demo',
    checkpoint: EXAMPLE_NOTE,
    events: [{ offset: 0, leaf: 0, headers: { type: 'dats.task.created', projectid: 'demo' }, data: { task_id: 't' }, proof: [] }],
  },
  checkpoints: {
    vkey: EXAMPLE_VKEY,
    origin: 'dats/projects/demo',
    checkpoints: [{ size: 1, root: EXAMPLE_ROOT, note: EXAMPLE_NOTE, time: '2026-11-26T09:00:00.000Z', from: 0, to: 0 }],
  },
};

const projectQuery = z.strictObject({ project_id: projectIdSchema });
const endOf = (call: Call, services: Services): AbortSignal => AbortSignal.any([call.signal(), services.closing]);

const verify = route({
  method: 'GET',
  path: '/api/v1/audit/verify',
  operationId: 'verifyHistory',
  tag: 'history',
  summary: 'Is the history of a project the one that was signed?',
  description:
    'Goes through all events of the project and compares them with its signed checkpoints. What is wrong is named, with its place: `changed`, `missing`, `inserted`, `reordered`, `truncated`, ' +
    '`bad_signature`, `bad_root`, `inconsistent_checkpoint`. `uncovered` events are newer than the last checkpoint: nothing is known of them yet. This is the keeper’s own word; ' +
    'outsiders verify a bundle, with the vkey that they know.',
  query: projectQuery,
  patient: true,
  success: [{ status: STATUS.ok, description: 'The report.', schema: auditReportSchema, example: EXAMPLES.report }],
  problems: ['project_not_found', ...AUDIT_PROBLEMS],
  handle: async (call, services) => {
    const { deps } = services;
    return json(STATUS.ok, await patiently(verifyProject(deps.log, auditOf(deps), call.query.project_id, endOf(call, services))));
  },
});

const proofQuery = z
  .strictObject({
    event_id: z.string().min(1).max(64).optional(),
    artifact_id: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .meta({ description: 'All events that made it: its output, the verdict, the completion.' }),
    offset: z.coerce.number().int().min(0).optional().meta({ description: 'In the project’s partition; with project_id.' }),
    project_id: projectIdSchema.optional().meta({ description: 'Where it is known: only one partition is looked through then.' }),
  })
  .refine(
    ({ event_id, artifact_id, offset }) => [event_id, artifact_id, offset].filter((one) => one !== undefined).length === 1,
    'one of event_id, artifact_id and offset is needed',
  )
  .refine(({ offset, project_id }) => offset === undefined || project_id !== undefined, 'offset needs project_id');

const proof = route({
  method: 'GET',
  path: '/api/v1/audit/proof',
  operationId: 'proveEvents',
  tag: 'history',
  summary: 'A proof that events are in the signed history',
  description:
    'A small document that proves, to whoever knows the vkey and nothing else, that the events are in the history that the newest checkpoint signed: events, audit paths (RFC 6962), signed note. ' +
    '`processors/audit/offline/verify.mjs` verifies it.',
  query: proofQuery,
  patient: true,
  success: [{ status: STATUS.ok, description: 'The proof.', schema: auditProofSchema, example: EXAMPLES.proof }],
  problems: ['event_not_found', 'proof_pending', 'history_tampered', ...AUDIT_PROBLEMS],
  handle: async (call, services) => {
    const { deps } = services;
    const { event_id: eventId, artifact_id: artifactId, offset, project_id: project } = call.query;
    return json(
      STATUS.ok,
      await patiently(prove(deps.log, auditOf(deps), { eventId, artifactId, offset, project }, endOf(call, services))),
    );
  },
});

const bundle = route({
  method: 'GET',
  path: '/api/v1/audit/bundle',
  operationId: 'exportHistory',
  tag: 'history',
  summary: 'The whole history of a project, to be verified elsewhere',
  description:
    'NDJSON: a line `{"vkey","origin","project"}`, a line `{"event":{"offset","headers","data"}}` for each event (`raw`, base64, instead of `data` where that is no JSON), a line `{"checkpoint":...}` for each checkpoint, ' +
    'and at last `{"end":{"events","checkpoints"}}`: without it the stream was cut off.',
  query: projectQuery,
  patient: true,
  success: [{ status: STATUS.ok, description: 'The bundle.', contentType: 'application/x-ndjson' }],
  problems: AUDIT_PROBLEMS,
  handle: async (call, services) => {
    const { deps } = services;
    const { project_id: project } = call.query;
    return {
      status: STATUS.ok,
      headers: {
        'content-type': 'application/x-ndjson; charset=utf-8',
        'content-disposition': `attachment; filename="${project}.dats-bundle.ndjson"`,
        'cache-control': 'no-store',
      },
      body: await bundleStream(deps.log, auditOf(deps), project, endOf(call, services)),
    };
  },
});

const checkpoints = route({
  method: 'GET',
  path: '/api/v1/audit/checkpoints',
  operationId: 'listCheckpoints',
  tag: 'history',
  summary: 'Signed checkpoints of a project, newest first',
  query: projectQuery.extend({ limit: z.coerce.number().int().min(1).max(1_000).default(20) }),
  patient: true,
  success: [{ status: STATUS.ok, description: 'The newest.', schema: auditCheckpointsSchema, example: EXAMPLES.checkpoints }],
  problems: ['project_not_found', ...AUDIT_PROBLEMS],
  handle: async (call, services) => {
    const { deps } = services;
    const { project_id, limit } = call.query;
    return json(STATUS.ok, await patiently(listCheckpoints(deps.log, auditOf(deps), project_id, limit, endOf(call, services))));
  },
});

export const auditRoutes = [verify, proof, bundle, checkpoints];
