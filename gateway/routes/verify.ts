// Audit of a project: is what is shown of it what the log says?
//
// V1. It takes as long as the history is. So once it has begun to take long, the answer begins with blanks, one a while: JSON all the same, and nobody on the way cuts
// a silent connection. What fails after that cuts it. V2. One at a time: it takes a processor core, and memory for the documents of the project.
import { z } from 'zod';
import { verifyProject } from '../../processors/index.js';
import { projectIdSchema, type VerifyReport, verifyReportSchema } from '../../schemas/index.js';
import { within } from '../../streams/index.js';
import { HISTORY_PROBLEMS } from '../analytics/index.js';
import { READ_PROBLEMS, refuse, STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { type Answer, JSON_TYPE, json, route } from '../table.js';

/** How long an answer is waited for before it begins with a blank, and between two of them; milliseconds. */
const BLANK_MS = 15_000;

/** V2. */
const busy = new WeakSet<Services>();

const EXAMPLE: VerifyReport = {
  ok: false,
  project_id: 'website',
  partition: 3,
  events: 14_203,
  from: 12,
  to: 20_411,
  views: { documents: 512, up_to: 20_412, differences: 0, different: [], why_not: null },
  history: {
    state: 'compared',
    why_not: null,
    rows: 14_203,
    up_to: 20_412,
    differences: 1,
    different: [
      {
        partition: 3,
        offset: 17,
        type: 'dats.task.output.created',
        what: 'changed',
        column: 'model',
        expected: 'qwen-coder',
        found: 'another',
      },
    ],
    tables: [{ table: 'dats.provenance', expected: 480, found: 480 }],
    not_compared: ['dats.agent_days: it does not say of which project'],
  },
  took_ms: 640,
  events_per_second: 120_000,
};

const verifying = async (services: Services, projectId: string, client: AbortSignal): Promise<VerifyReport> => {
  const { deps, closing } = services;
  if (busy.has(services)) throw refuse('unavailable', 'another project is being verified here, and one is at a time; try again in a while');
  busy.add(services);
  try {
    const report = await verifyProject(deps, projectId, AbortSignal.any([client, closing]));
    if (report.events === 0 && report.views.documents === 0) throw refuse('project_not_found', `project "${projectId}" has no task`);
    return report;
  } catch (error) {
    if (client.aborted) throw refuse('client_gone', 'the client went away before the answer was ready');
    if (closing.aborted) throw refuse('log_closed', 'this process is ending');
    throw error;
  } finally {
    busy.delete(services);
  }
};

const blanksUntil = (report: Promise<VerifyReport>, onGone: () => void, blankMs: number): ReadableStream<Uint8Array> => {
  const bytes = new TextEncoder();
  let blanks: NodeJS.Timeout | undefined;
  return new ReadableStream({
    start: (controller) => {
      const blank = (): void => controller.enqueue(bytes.encode(' '));
      blank();
      blanks = setInterval(blank, blankMs);
      report
        .then((done) => {
          controller.enqueue(bytes.encode(JSON.stringify(done)));
          controller.close();
        })
        .catch((error: unknown) => controller.error(error))
        .finally(() => clearInterval(blanks));
    },
    cancel: () => {
      clearInterval(blanks);
      onGone();
    },
  });
};

/** V1. @param onGone called when whoever reads the answer goes away. @throws what `report` is rejected with in time */
export const answerWhenReady = async (report: Promise<VerifyReport>, onGone: () => void, blankMs = BLANK_MS): Promise<Answer> => {
  const soon = await within(blankMs, report);
  if (soon !== undefined) return json(STATUS.ok, soon);
  return { status: STATUS.ok, headers: { 'content-type': JSON_TYPE }, body: blanksUntil(report, onGone, blankMs) };
};

const verify = route({
  method: 'GET',
  path: '/api/v1/projects/{project_id}/verify',
  operationId: 'verifyProject',
  tag: 'projects',
  summary: 'Fold a project again from its first event, and compare',
  description:
    'Reads every event of the project from the log, folds it anew, and compares the result with what is shown: each document of the views to the byte, each row of ' +
    'history in every column, and the tables that are made of it by their counts. Changes nothing. `ok` is true when all that is kept here was compared and nothing differs; else each difference is named. ' +
    'It takes some seconds for 100,000 events; an answer that takes longer than 15 s begins with blanks, and is cut off when it fails.',
  params: z.strictObject({ project_id: projectIdSchema }),
  patient: true,
  success: [{ status: STATUS.ok, description: 'What was compared, and what differs.', schema: verifyReportSchema, example: EXAMPLE }],
  problems: ['invalid_parameter', 'project_not_found', 'client_gone', 'log_closed', ...READ_PROBLEMS, ...HISTORY_PROBLEMS],
  handle: (call, services): Promise<Answer> => {
    const gone = new AbortController();
    const client = AbortSignal.any([call.signal(), gone.signal]);
    return answerWhenReady(verifying(services, call.params.project_id, client), () => gone.abort());
  },
});

export const verifyRoutes = [verify];
