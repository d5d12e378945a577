// Answers of POST /v1/chat/completions: a whole one, and the chunks of a stream. Pure.
import { z } from 'zod';
import type { Answer, ToolCall } from '../../models/index.js';
import type { Piece } from './speech.js';

const FINISH = ['stop', 'length', 'tool_calls'] as const;
type Finish = (typeof FINISH)[number];

const usageSchema = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }).optional(),
});

export const completionSchema = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  /** Seconds since the epoch. */
  created: z.int(),
  /** Id of the model that answered. */
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z
          .array(z.object({ id: z.string(), type: z.literal('function'), function: z.object({ name: z.string(), arguments: z.string() }) }))
          .optional(),
      }),
      logprobs: z.null(),
      finish_reason: z.enum(FINISH),
    }),
  ),
  usage: usageSchema,
});
type Completion = z.infer<typeof completionSchema>;

/** What all chunks of an answer have in common. */
export interface Heading {
  readonly id: string;
  readonly created: number;
}

const usageOf = ({ input_tokens, output_tokens, cached_input_tokens }: Answer): z.infer<typeof usageSchema> => ({
  prompt_tokens: input_tokens,
  completion_tokens: output_tokens,
  total_tokens: input_tokens + output_tokens,
  ...(cached_input_tokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cached_input_tokens } }),
});

/** Some servers end an answer with tool calls as any other. */
const finishOf = ({ finish_reason }: Answer, calls: number): Finish => {
  if (finish_reason === 'length') return 'length';
  return calls > 0 ? 'tool_calls' : 'stop';
};

const calledIn = ({ tool_calls = [] }: Answer, onlyFirst: boolean): readonly ToolCall[] =>
  onlyFirst ? tool_calls.slice(0, 1) : tool_calls;

/** @param onlyFirst of the tool calls one is handed on */
export const completionOf = ({ id, created }: Heading, answer: Answer, onlyFirst: boolean): Completion => {
  const calls = calledIn(answer, onlyFirst).map(({ id: call, name, arguments: args }) => ({
    id: call,
    type: 'function' as const,
    function: { name, arguments: args },
  }));
  return {
    id,
    object: 'chat.completion',
    created,
    model: answer.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: answer.text === '' && calls.length > 0 ? null : answer.text,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
        logprobs: null,
        finish_reason: finishOf(answer, calls.length),
      },
    ],
    usage: usageOf(answer),
  };
};

const encoder = new TextEncoder();
export const dataFrame = (value: unknown): Uint8Array => encoder.encode(`data: ${JSON.stringify(value)}\n\n`);
const DONE = encoder.encode('data: [DONE]\n\n');

export interface ChunkOptions extends Heading {
  /** The model, as far as is known: the last chunks name the one that answered. */
  readonly model: () => string;
  readonly includeUsage: boolean;
  /** Of the tool calls one is handed on. */
  readonly onlyFirst: boolean;
}

export interface Chunks {
  /** The role. */
  begin(): Uint8Array;
  piece(piece: Piece): Uint8Array | undefined;
  /** What was not said piece by piece, the reason of the end, the usage, the end. */
  end(answer: Answer): readonly Uint8Array[];
}

/** The chunks of one answer, in order. */
export const openChunks = ({ id, created, model, includeUsage, onlyFirst }: ChunkOptions): Chunks => {
  /** Tool calls that began, by their index. */
  const begun = new Set<number>();
  let saidText = false;
  const chunk = (delta: object, finish: Finish | null = null, by = model()): Uint8Array =>
    dataFrame({
      id,
      object: 'chat.completion.chunk',
      created,
      model: by,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(includeUsage ? { usage: null } : {}),
    });
  const piece = (said: Piece): Uint8Array | undefined => {
    if (said.kind === 'text') {
      saidText = true;
      return chunk({ content: said.text });
    }
    const { index, id: call, name, arguments: args = '' } = said;
    if (onlyFirst && index > 0) return undefined;
    if (begun.has(index)) return chunk({ tool_calls: [{ index, function: { arguments: args } }] });
    begun.add(index);
    return chunk({
      tool_calls: [{ index, id: call ?? `call_${index}`, type: 'function', function: { name: name ?? '', arguments: args } }],
    });
  };
  return {
    begin: () => chunk({ role: 'assistant', content: '', refusal: null }),
    piece,
    end: (answer) => {
      const calls = calledIn(answer, onlyFirst);
      const frames: Uint8Array[] = [];
      if (!saidText && answer.text !== '') frames.push(chunk({ content: answer.text }, null, answer.model));
      if (begun.size === 0)
        calls.forEach(({ id: call, name, arguments: args }, index) => {
          frames.push(piece({ kind: 'tool_call', index, id: call, name, arguments: args })!);
        });
      frames.push(chunk({}, finishOf(answer, Math.max(calls.length, begun.size)), answer.model));
      if (includeUsage)
        frames.push(dataFrame({ id, object: 'chat.completion.chunk', created, model: answer.model, choices: [], usage: usageOf(answer) }));
      return [...frames, DONE];
    },
  };
};
