// OpenAI's wire: requests in its names, and what its chunks say. No I/O.
//
// T1. A text that comes twice cannot be told from a model that repeats itself: it is taken as it comes. What can be told is: a role, an end, a usage or the
//     beginning of a tool call that comes again changes nothing, and text or calls after the end are garbage.
import type OpenAI from 'openai';
import { modelFault } from './faults.js';
import { type Dialect, spoken } from './openai-dialect.js';
import type { FinishReason, GenerateRequest, Message, ToolCallChunk, ToolChoice } from './runner.js';

const messageOf = ({ role, content, tool_calls, tool_call_id }: Message): OpenAI.ChatCompletionMessageParam => {
  const message = {
    role,
    // Some servers refuse an empty text beside calls.
    content: tool_calls !== undefined && content === '' ? null : content,
    ...(tool_calls === undefined
      ? {}
      : { tool_calls: tool_calls.map(({ id, name, arguments: text }) => ({ id, type: 'function', function: { name, arguments: text } })) }),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
  };
  return message as OpenAI.ChatCompletionMessageParam;
};

const toolOf = ({ name, description, parameters }: NonNullable<GenerateRequest['tools']>[number]): OpenAI.ChatCompletionFunctionTool => ({
  type: 'function',
  function: { name, ...(description === undefined ? {} : { description }), ...(parameters === undefined ? {} : { parameters }) },
});

const choiceOf = (choice: ToolChoice): OpenAI.ChatCompletionToolChoiceOption =>
  typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } };

const formatOf = ({ json, json_schema }: GenerateRequest): Pick<OpenAI.ChatCompletionCreateParamsStreaming, 'response_format'> =>
  json_schema !== undefined
    ? { response_format: { type: 'json_schema', json_schema: { name: json_schema.name, schema: json_schema.schema } } }
    : json === true
      ? { response_format: { type: 'json_object' } }
      : {};

export const chatRequestOf = (model: string, dialect: Dialect, asked: GenerateRequest): OpenAI.ChatCompletionCreateParamsStreaming => {
  const request = spoken(dialect, asked);
  const { tools = [], stop = [] } = request;
  return {
    model,
    messages: request.messages.map(messageOf),
    stream: true,
    stream_options: { include_usage: true },
    ...(request.max_tokens === undefined ? {} : { [dialect.token_limit]: request.max_tokens }),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.top_p === undefined ? {} : { top_p: request.top_p }),
    ...(request.presence_penalty === undefined ? {} : { presence_penalty: request.presence_penalty }),
    ...(request.frequency_penalty === undefined ? {} : { frequency_penalty: request.frequency_penalty }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(stop.length === 0 ? {} : { stop: [...stop] }),
    ...formatOf(request),
    ...(tools.length === 0 ? {} : { tools: tools.map(toolOf) }),
    // Without tools a choice is refused.
    ...(tools.length === 0 || request.tool_choice === undefined ? {} : { tool_choice: choiceOf(request.tool_choice) }),
  };
};

/** A piece of a tool call as it may come; servers leave out one thing or another. */
export interface ToolCallPiece {
  readonly index?: unknown;
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown };
}

export interface ToolCalls {
  readonly count: number;
  /** Undefined for what brings nothing new (T1). @throws Fault `model_garbage` */
  take(piece: ToolCallPiece): ToolCallChunk | undefined;
}

const isWhole = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The tool calls of one answer. `id` is the model's in servers.yaml. */
export const openToolCalls = (id: string): ToolCalls => {
  const begun: { readonly index: number; readonly id: string; readonly name: string; text: string }[] = [];
  /** Some servers give no index: then the id tells, and a piece without both belongs to the last call. */
  const indexOf = ({ index, id: callId }: ToolCallPiece): number => {
    if (typeof index === 'number' && Number.isInteger(index)) return index;
    const known = begun.find((call) => call.id === callId) ?? (textIn(callId) === '' ? begun.at(-1) : undefined);
    return known?.index ?? begun.length;
  };
  return {
    get count() {
      return begun.length;
    },
    take: (piece) => {
      const index = indexOf(piece);
      const [callId, name] = [textIn(piece.id), textIn(piece.function?.name)];
      const given = piece.function?.arguments ?? '';
      const text = typeof given === 'string' ? given : JSON.stringify(given);
      const call = begun.find((one) => one.index === index);
      if (call === undefined) {
        if (name === '') throw modelFault(id, 'model_garbage', { detail: 'a tool call without a name' });
        const first = { index, id: callId === '' ? `call_${index}` : callId, name, text };
        begun.push(first);
        return { kind: 'tool_call', index, id: first.id, name, ...(text === '' ? {} : { arguments: text }) };
      }
      const again = callId === call.id && name === call.name;
      if (text === '' || (again && text === call.text && isWhole(text))) return undefined;
      call.text += text;
      return { kind: 'tool_call', index, arguments: text };
    },
  };
};

/** Some servers end with `stop` though they called a tool. */
export const finishOf = (reason: string, calls: number): FinishReason => {
  if (reason === 'tool_calls' || reason === 'function_call' || (reason === 'stop' && calls > 0)) return 'tool_calls';
  return reason === 'stop' || reason === 'length' ? reason : 'other';
};

/** A model in a list, with the length of its context where the server tells it: vLLM, llama.cpp, OpenRouter and LM Studio, each in its way. */
interface ListedModel {
  readonly id: string;
  readonly max_model_len?: unknown;
  readonly context_length?: unknown;
  readonly max_context_length?: unknown;
  readonly meta?: { readonly n_ctx?: unknown };
}

export const contextIn = ({ max_model_len, context_length, max_context_length, meta }: ListedModel): number | undefined =>
  [max_model_len, meta?.n_ctx, context_length, max_context_length].find(
    (tokens): tokens is number => typeof tokens === 'number' && Number.isInteger(tokens) && tokens > 0,
  );
