// What the events of a streamed answer say, put together. No I/O.
//
// Q1. A stream is complete when a chunk told its finish_reason; one that ends without is garbage. Usage may be missing: then it is estimated.
// Q2. What comes after `[DONE]` is not looked at.
import type OpenAI from 'openai';
import type { Fault } from '../schemas/index.js';
import { countedOr, promptTokensOf, tokensOf } from './accounting.js';
import { codeOfStatus, errorCodeOf, modelFault } from './faults.js';
import { finishOf, openToolCalls } from './openai-wire.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';

type Chunk = OpenAI.ChatCompletionChunk;

/** An error event inside a stream that began well has no status of its own; some servers put one into `code`. */
const streamFault = (id: string, error: unknown): Fault => {
  const status = Number((error as { readonly code?: unknown }).code);
  const code = codeOfStatus(status >= 400 && status < 600 ? status : 500, errorCodeOf({ error }));
  return modelFault(id, code, { detail: 'an error in the stream' });
};

const chunkOf = (id: string, data: string): Chunk => {
  let chunk: unknown;
  try {
    chunk = JSON.parse(data);
  } catch {
    throw modelFault(id, 'model_garbage', { detail: 'an event of the stream is not JSON' });
  }
  if (typeof chunk !== 'object' || chunk === null) throw modelFault(id, 'model_garbage', { detail: 'an event of the stream is no object' });
  const { error } = chunk as { readonly error?: unknown };
  if (error) throw streamFault(id, error);
  return chunk as Chunk;
};

export interface StreamedAnswer {
  /** What an event brings. @param data of the event @throws Fault */
  take(data: string): readonly GenerateChunk[];
  /** The stream has ended. @throws Fault where it should not have */
  done(): GenerateChunk;
}

/** `id` is the model's in servers.yaml. */
export const openAnswer = (id: string, request: GenerateRequest): StreamedAnswer => {
  const garbage = (detail: string): Fault => modelFault(id, 'model_garbage', { detail });
  const calls = openToolCalls(id);
  let chars = 0;
  let over = false;
  let finish: string | undefined;
  let usage: OpenAI.CompletionUsage | undefined;
  let responseModel: string | undefined;

  const saidIn = (delta: OpenAI.ChatCompletionChunk.Choice.Delta): readonly GenerateChunk[] => {
    const { content, tool_calls } = delta;
    const text = content ?? '';
    if (typeof text !== 'string') throw garbage('content is no text');
    const pieces = tool_calls ?? [];
    if (!Array.isArray(pieces)) throw garbage('tool_calls is no list');
    const said: GenerateChunk[] = text === '' ? [] : [{ kind: 'text', text }];
    chars += text.length;
    for (const piece of pieces) {
      const part = calls.take(piece);
      if (part !== undefined) said.push(part);
    }
    if (said.length > 0 && finish !== undefined) throw garbage('the stream goes on after its end');
    return said;
  };

  return {
    take: (data) => {
      over ||= data.startsWith('[DONE]');
      if (over) return [];
      const chunk = chunkOf(id, data);
      responseModel ??= chunk.model;
      usage = chunk.usage ?? usage;
      const choice = chunk.choices?.find(({ index = 0 }) => index === 0);
      if (choice === undefined) return [];
      const { delta, finish_reason } = choice;
      if (delta?.refusal || finish_reason === 'content_filter') throw modelFault(id, 'model_refused');
      const said = delta ? saidIn(delta) : [];
      finish = finish_reason ?? finish;
      return said;
    },
    done: () => {
      if (finish === undefined) throw garbage('the stream ended without its end');
      if (chars + calls.count === 0 && finish === 'stop') throw garbage('an empty answer');
      const cached = usage?.prompt_tokens_details?.cached_tokens;
      return {
        kind: 'done',
        finish_reason: finishOf(finish, calls.count),
        input_tokens: countedOr(usage?.prompt_tokens, () => promptTokensOf(request)),
        output_tokens: countedOr(usage?.completion_tokens, () => tokensOf(chars)),
        ...(usage === undefined ? { estimated: true } : {}),
        ...(typeof cached === 'number' && Number.isInteger(cached) && cached >= 0 ? { cached_input_tokens: cached } : {}),
        ...(responseModel === undefined ? {} : { response_model: responseModel }),
      };
    },
  };
};
