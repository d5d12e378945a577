// POST /v1/embeddings: vectors of texts.
import { z } from 'zod';
import { tokensOf } from '../../models/index.js';
import { STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { type Answer, type Call, json, route } from '../table.js';
import { ANSWER_HEADERS, ASKING_HEADERS, answerable, askerOf, headersOf, openTrail, withBudget } from './asking.js';
import { MISSING, unfit } from './misfit.js';
import { wishOf } from './model-names.js';
import { BODY_ERRORS, MODEL_ERRORS, surfaceWith } from './surface.js';

/** Texts of one request. */
const INPUTS_LIMIT = 2_048;

const text = z
  .string({
    error: ({ input }) =>
      typeof input === 'number' || Array.isArray(input)
        ? 'lists of tokens are not supported, as each model has its own; send text'
        : 'must be text',
  })
  .min(1);

const embeddingRequestSchema = z.strictObject({
  model: z.string().min(1).max(256),
  input: z.union([text, z.array(text).min(1).max(INPUTS_LIMIT)], {
    error: ({ input }) => (input === undefined ? MISSING : `must be text that is not empty, or 1 to ${INPUTS_LIMIT} of them`),
  }),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish().meta({ description: 'Refused unless it is what the model gives: vectors are not cut.' }),
  user: z.string().max(128).nullish().meta({ description: 'Who asks, for budgets and records.' }),
});
type EmbeddingRequest = z.infer<typeof embeddingRequestSchema>;

const embeddingsSchema = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      /** With `base64`: little-endian float32. */
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
});

const base64Of = (vector: readonly number[]): string => {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, i) => {
    bytes.writeFloatLE(value, i * 4);
  });
  return bytes.toString('base64');
};

const embed = async (call: Call<unknown, unknown, EmbeddingRequest>, { deps }: Services): Promise<Answer> => {
  const { body, correlationId } = call;
  const texts = typeof body.input === 'string' ? [body.input] : body.input;
  const asker = askerOf(call, body.user);
  const wish = wishOf(body.model, [], deps.config.models);
  const trail = openTrail();
  const signal = call.signal();
  const inputTokens = texts.reduce((sum, text) => sum + tokensOf(text.length), 0);
  try {
    const made = await withBudget(
      deps,
      { asker, wish, inputTokens, outputTokens: 0 },
      trail,
      (allowance) =>
        deps.models.embed(
          {
            texts,
            ...asker,
            ...wish,
            purpose: 'embed',
            ...(allowance === undefined ? {} : { allowance }),
            onDecision: trail.onDecision,
            onCall: trail.onCall,
          },
          signal,
        ),
      signal,
    );
    const size = made.vectors[0]?.length ?? 0;
    if (typeof body.dimensions === 'number' && body.dimensions !== size)
      throw unfit(['dimensions'], `${made.model} gives ${size}, and vectors are not cut; leave it out`, 'unsupported_value');
    const encode = body.encoding_format === 'base64' ? base64Of : (vector: readonly number[]) => [...vector];
    const answer = json(STATUS.ok, {
      object: 'list',
      data: made.vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
      model: made.model,
      usage: { prompt_tokens: made.input_tokens, total_tokens: made.input_tokens },
    });
    const decision = made.decision ?? trail.decision;
    const chosen = {
      correlationId,
      wish,
      model: made.model,
      decision,
      calls: trail.ended.length,
      configVersion: deps.settings.current().version,
    };
    Object.assign(answer.headers, headersOf(chosen));
    return answer;
  } catch (error) {
    throw answerable(error, signal);
  }
};

const embeddings = route({
  method: 'POST',
  path: '/v1/embeddings',
  operationId: 'createEmbedding',
  tag: 'openai',
  patient: true,
  traced: true,
  summary: 'OpenAI: vectors of texts',
  headers: ASKING_HEADERS,
  body: { schema: embeddingRequestSchema, example: { model: 'auto:cheap', input: ['add two numbers', 'sum of a list'] } },
  success: [
    { status: STATUS.ok, description: 'One vector for each text, in their order.', schema: embeddingsSchema, headers: ANSWER_HEADERS },
  ],
  surface: surfaceWith([...BODY_ERRORS, ...MODEL_ERRORS]),
  problems: [],
  handle: embed,
});

export const embeddingRoutes = [embeddings];
