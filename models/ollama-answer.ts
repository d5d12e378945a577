// What the lines of an answer say, put together. No I/O.
import type { ChatResponse } from 'ollama';
import { countedOr, promptTokensOf, tokensOf } from './accounting.js';
import { modelFault } from './faults.js';
import { toolCallsIn } from './ollama-wire.js';
import type { FinishReason, GenerateChunk, GenerateRequest } from './runner.js';

/** Ollama says how long loading took, and 2 to 60 ms where nothing had to be loaded. */
const COLD_NS = 200_000_000;

const finishOf = (reason: string, calls: number): FinishReason =>
  calls > 0 && reason === 'stop' ? 'tool_calls' : reason === 'stop' || reason === 'length' ? reason : 'other';

/** Did the server count so few tokens that it cannot have read all of the prompt? */
const wasShortened = (counted: unknown, request: GenerateRequest, contextTokens: number): boolean => {
  if (typeof counted !== 'number') return false;
  const estimate = promptTokensOf(request);
  return counted >= contextTokens || (estimate > contextTokens && counted < estimate / 2);
};

export interface StreamedAnswer {
  /** What a line brings. @throws Fault */
  take(line: ChatResponse): readonly GenerateChunk[];
  /** There are no more. @throws Fault where there should be */
  done(): Extract<GenerateChunk, { kind: 'done' }>;
}

/** `id` is the model's in servers.yaml. */
export const openAnswer = (
  { id, context_tokens }: { readonly id: string; readonly context_tokens: number },
  request: GenerateRequest,
): StreamedAnswer => {
  let chars = 0;
  let calls = 0;
  let last: ChatResponse | undefined;
  return {
    take: (line) => {
      const text = line.message?.content ?? '';
      if (typeof text !== 'string') throw modelFault(id, 'model_garbage', { detail: 'content is no text' });
      const called = toolCallsIn(id, line.message?.tool_calls, calls);
      chars += text.length;
      calls += called.length;
      if (line.done) last = line;
      return text === '' ? called : [{ kind: 'text', text }, ...called];
    },
    done: () => {
      if (last === undefined) throw modelFault(id, 'model_garbage', { detail: 'the stream ended without its end' });
      const { prompt_eval_count, eval_count, done_reason, load_duration, model } = last;
      if (wasShortened(prompt_eval_count, request, context_tokens))
        throw modelFault(id, 'model_context', { detail: 'the server has read a part of the prompt only' });
      if (chars + calls === 0 && done_reason === 'stop') throw modelFault(id, 'model_garbage', { detail: 'an empty answer' });
      return {
        kind: 'done',
        finish_reason: finishOf(done_reason, calls),
        input_tokens: countedOr(prompt_eval_count, () => promptTokensOf(request)),
        output_tokens: countedOr(eval_count, () => tokensOf(chars)),
        ...(prompt_eval_count === undefined || eval_count === undefined ? { estimated: true } : {}),
        ...(load_duration >= COLD_NS ? { cold: true } : {}),
        ...(typeof model === 'string' ? { response_model: model } : {}),
      };
    },
  };
};
