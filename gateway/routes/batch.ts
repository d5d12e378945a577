// POST /tasks:batch

import { z } from 'zod';
import { acceptedSchema, BATCH_LIMIT, problemSchema } from '../../schemas/index.js';
import { submitBatch } from '../batch.js';
import type { Requester } from '../commands.js';
import { READ_PROBLEMS, refuse, STATUS } from '../problem.js';
import { type Call, json, route } from '../table.js';
import { EXAMPLES } from './examples.js';
import { requesterOf } from './tasks.js';

/** A caller's trace is joined by all of the batch. Without one, each task begins its own: one of thousands of tasks would be no trace to look at. */
const batchRequesterOf = (call: Call): Requester => {
  const begins = call.trace !== undefined && call.trace.parentSpanId === undefined;
  return begins ? { correlationId: call.correlationId, traceparent: null } : requesterOf(call);
};

export const batchAnswerSchema = z.object({
  accepted: z.int(),
  refused: z.int(),
  results: z.array(z.object({ index: z.int(), status: z.int(), task: acceptedSchema.optional(), problem: problemSchema.optional() })),
});

const submit = route({
  method: 'POST',
  path: '/api/v1/tasks:batch',
  operationId: 'submitBatch',
  tag: 'tasks',
  summary: 'Submit many tasks',
  description:
    `Up to ${BATCH_LIMIT} bodies of POST /tasks, as a JSON array or one a line (application/x-ndjson). Each is answered by itself: look at every \`status\`. ` +
    'An item with a `ref` can be named in `depends_on` of any other item of the batch. A retry of a whole batch makes new tasks: Idempotency-Key is for single submissions. ' +
    'Where nothing could be taken because the project submits too fast (429) or the log is away (503), the whole request is answered so.',
  headers: { traceparent: 'W3C trace context that all tasks of the batch join. Without it each task begins a trace of its own.' },
  patient: true,
  traced: true,
  body: {
    schema: z
      .array(z.unknown().meta({ $ref: '#/components/schemas/SubmitTask' }))
      .min(1)
      .max(BATCH_LIMIT),
    example: [
      { ...EXAMPLES.submit, ref: 'first' },
      { description: 'Write a README.', project_id: 'calculator', depends_on: ['first'] },
    ],
    ndjson: true,
  },
  success: [
    {
      status: STATUS.ok,
      description: 'Each item in the order of the request.',
      schema: batchAnswerSchema,
      example: { accepted: 1, refused: 0, results: [{ index: 0, status: STATUS.accepted, task: EXAMPLES.accepted }] },
    },
  ],
  problems: [
    'malformed_json',
    'invalid_parameter',
    'body_too_large',
    'unsupported_media_type',
    'validation_failed',
    'rate_limited',
    ...READ_PROBLEMS,
  ],
  handle: async (call, { submissions, rate, answerMs }) => {
    if (call.header('idempotency-key') !== null)
      throw refuse(
        'invalid_parameter',
        'Idempotency-Key: a batch does not honour it; submit the tasks one by one with a key each, or send the batch without',
      );
    const results = await submitBatch({ submissions, rate, stepMs: answerMs }, call.body, batchRequesterOf(call));
    const accepted = results.filter((result) => result.task !== undefined).length;
    return json(STATUS.ok, { accepted, refused: results.length - accepted, results });
  },
});

export const batchRoutes = [submit];
