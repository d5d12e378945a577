// What POST /v1/chat/completions takes: OpenAI's parameters, as far as a model of any provider can be asked for them.
//
// P1. A parameter is passed on, ignored or refused, each by a list (parameters.ts); one that nobody knows is refused by its name. P2. `null` is as good as
// leaving it out. P3. Inside of messages unknown fields are ignored: clients send back what they were given, with what their own library added.
import { z } from 'zod';
import { IGNORED, REFUSED } from './parameters.js';

/** Most messages, parts of a message, tools and tool calls of one request. */
const MESSAGES_LIMIT = 10_000;
const PARTS_LIMIT = 1_000;
const TOOLS_LIMIT = 128;
const STOPS_LIMIT = 16;

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const content = z.union([z.string(), z.array(part).max(PARTS_LIMIT)], { error: 'must be text, or a list of parts' });

const toolName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_.-]+$/, 'letters, digits, "_", "-" and "."');
const toolCall = z.looseObject({
  id: z.string().min(1).max(256),
  type: z.literal('function', { error: 'only "function" is supported' }).default('function'),
  function: z.looseObject({ name: toolName, arguments: z.string() }),
});

const message = z.discriminatedUnion(
  'role',
  [
    z.looseObject({ role: z.enum(['system', 'developer', 'user']), content }),
    z.looseObject({
      role: z.literal('assistant'),
      content: content.nullish(),
      refusal: z.string().nullish(),
      tool_calls: z.array(toolCall).max(TOOLS_LIMIT).nullish(),
    }),
    z.looseObject({ role: z.literal('tool'), content, tool_call_id: z.string().min(1).max(256) }),
  ],
  { error: 'must be one of system, developer, user, assistant, tool' },
);
export type ChatMessage = z.infer<typeof message>;

const jsonSchema = z.record(z.string(), z.unknown());
const tool = z.strictObject({
  type: z.literal('function', { error: 'only "function" is supported' }),
  function: z.strictObject({
    name: toolName,
    description: z.string().nullish(),
    parameters: jsonSchema.nullish(),
    strict: z.boolean().nullish().meta({ description: 'Ignored: models are asked for what fits, and not held to it.' }),
  }),
});
const toolChoice = z.union(
  [z.enum(['none', 'auto', 'required']), z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: toolName }) })],
  { error: 'must be none, auto, required, or {"type": "function", "function": {"name": ...}}' },
);

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: toolName,
        description: z.string().nullish(),
        schema: jsonSchema.nullish(),
        strict: z.boolean().nullish(),
      }),
    }),
  ],
  { error: 'must be one of text, json_object, json_schema' },
);

const ignored = Object.fromEntries(
  Object.entries(IGNORED).map(([name, why]) => [
    name,
    z
      .unknown()
      .optional()
      .meta({ description: `Ignored: ${why}.` }),
  ]),
);
const only = <S extends z.ZodType>(name: string, harmless: S) =>
  harmless.nullish().meta({ description: `Anything else is refused: ${REFUSED[name]}.` });

/** Refused unless it is null. */
const never = Object.fromEntries(
  ['audio', 'web_search_options', 'moderation', 'functions', 'function_call'].map((name) => [name, only(name, z.null())]),
);

export const chatRequestSchema = z.strictObject({
  model: z
    .string()
    .min(1)
    .max(256)
    .meta({ description: '`auto`, `auto:cheap`, `auto:best`, a tier (`small`, `medium`, `large`), or a model of GET /v1/models.' }),
  messages: z.array(message).min(1).max(MESSAGES_LIMIT),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      include_obfuscation: z.boolean().nullish().meta({ description: 'Ignored: nothing is padded.' }),
    })
    .nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(STOPS_LIMIT)], { error: 'must be text, or a list of texts' }).nullish(),
  seed: z.int().nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(tool).max(TOOLS_LIMIT).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish().meta({ description: 'false: only the first call of an answer is handed on.' }),
  user: z.string().max(128).nullish().meta({ description: 'Who asks, for budgets and records.' }),
  n: only('n', z.literal(1)),
  logprobs: only('logprobs', z.literal(false)),
  top_logprobs: only('top_logprobs', z.literal(0)),
  logit_bias: only('logit_bias', z.strictObject({})),
  modalities: only('modalities', z.array(z.literal('text')).max(1)),
  ...never,
  ...ignored,
});
export type ChatRequest = z.infer<typeof chatRequestSchema>;

export const CHAT_EXAMPLE = { model: 'auto', messages: [{ role: 'user', content: 'Write add(a, b) in Python.' }] } as const;
