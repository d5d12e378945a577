// Ollama's wire: requests in its names, and what its lines say. No I/O.
import { StringDecoder } from 'node:string_decoder';
import type { ChatRequest, ChatResponse, Message as OllamaMessage } from 'ollama';
import { modelFault } from './faults.js';
import type { GenerateRequest, Message, Tool, ToolCall, ToolCallChunk } from './runner.js';

/** What of the options stands in every request. */
export interface OllamaTarget {
  readonly model: string;
  readonly context_tokens: number;
  readonly keep_alive_s?: number;
}

/**
 * The lines of an answer, from bytes as they come; undefined at their end. The last one is held back until then (O2). A second end is left out; anything else
 * after the end is garbage. `id` is the model's in servers.yaml.
 */
export const openLines = (id: string): ((piece: Uint8Array | undefined) => readonly ChatResponse[]) => {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let last: ChatResponse | undefined;
  const parsed = (line: string): ChatResponse => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw modelFault(id, 'model_garbage', { detail: 'a line of the stream is not JSON' });
    }
    if (typeof value !== 'object' || value === null) throw modelFault(id, 'model_garbage', { detail: 'a line of the stream is no object' });
    if ('error' in value) throw modelFault(id, 'model_error', { detail: 'an error in the stream' });
    return value as ChatResponse;
  };
  return (piece) => {
    const lines = (rest + (piece === undefined ? decoder.end() : decoder.write(piece as Buffer))).split('\n');
    rest = piece === undefined ? '' : (lines.pop() ?? '');
    const complete: ChatResponse[] = [];
    for (const line of lines) {
      if (line.trim() === '') continue;
      const value = parsed(line);
      const ends = value.done === true;
      if (last !== undefined && !ends) throw modelFault(id, 'model_garbage', { detail: 'the stream goes on after its end' });
      if (ends) last ??= value;
      else complete.push(value);
    }
    return piece === undefined && last !== undefined ? [...complete, last] : complete;
  };
};

/** Ollama wants an object; what a model wrote may be none. */
const argumentsOf = (text: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // It stands below as it is.
  }
  return { text };
};

const messagesOf = (messages: readonly Message[]): OllamaMessage[] => {
  const names = new Map<string, string>();
  return messages.map(({ role, content, tool_calls, tool_call_id }) => {
    if (tool_calls === undefined && tool_call_id === undefined) return { role, content };
    const calls = tool_calls?.map(({ id, name, arguments: text }: ToolCall) => {
      names.set(id, name);
      return { id, function: { name, arguments: argumentsOf(text) } };
    });
    const tool_name = tool_call_id === undefined ? undefined : names.get(tool_call_id);
    return {
      role,
      content,
      ...(calls === undefined ? {} : { tool_calls: calls }),
      ...(tool_call_id === undefined ? {} : { tool_call_id }),
      ...(tool_name === undefined ? {} : { tool_name }),
    };
  });
};

/** Ollama knows no choice: none are sent where none may be called, and one where it is named. */
const toolsOf = ({ tools = [], tool_choice }: GenerateRequest): NonNullable<ChatRequest['tools']> => {
  const meant = tool_choice === 'none' ? [] : typeof tool_choice === 'object' ? tools.filter((t) => t.name === tool_choice.name) : tools;
  return meant.map(({ name, description, parameters }: Tool) => ({
    type: 'function',
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters: parameters ?? { type: 'object', properties: {} },
    },
  }));
};

/** What every request says: which model, how much context, how long it stays in memory. */
export const targeted = ({ model, keep_alive_s, context_tokens }: OllamaTarget) => ({
  model,
  ...(keep_alive_s === undefined ? {} : { keep_alive: keep_alive_s }),
  options: { num_ctx: context_tokens },
});

/** Neither a prompt nor an answer is shortened in silence: a prompt that does not fit is refused, an answer that does not ends with `length` (O4). */
const UNCUT = { truncate: false, shift: false };

export const chatRequestOf = (target: OllamaTarget, request: GenerateRequest): ChatRequest & { stream: true } => {
  const tools = toolsOf(request);
  const { options, ...named } = targeted(target);
  return {
    ...named,
    ...UNCUT,
    messages: messagesOf(request.messages),
    stream: true,
    ...(request.json_schema !== undefined ? { format: request.json_schema.schema } : request.json === true ? { format: 'json' } : {}),
    ...(tools.length === 0 ? {} : { tools }),
    options: {
      ...options,
      ...(request.max_tokens === undefined ? {} : { num_predict: request.max_tokens }),
      ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
      ...(request.top_p === undefined ? {} : { top_p: request.top_p }),
      ...(request.presence_penalty === undefined ? {} : { presence_penalty: request.presence_penalty }),
      ...(request.frequency_penalty === undefined ? {} : { frequency_penalty: request.frequency_penalty }),
      ...(request.seed === undefined ? {} : { seed: request.seed }),
      ...(request.stop === undefined ? {} : { stop: [...request.stop] }),
    },
  };
};

/** The calls in a line, numbered from `first`. Each comes whole. @throws Fault `model_garbage` */
export const toolCallsIn = (id: string, calls: unknown, first: number): readonly ToolCallChunk[] => {
  if (calls === undefined || calls === null) return [];
  if (!Array.isArray(calls)) throw modelFault(id, 'model_garbage', { detail: 'tool_calls is no list' });
  return calls.map((call: { id?: unknown; function?: { name?: unknown; arguments?: unknown } } | null, i) => {
    const name = call?.function?.name;
    if (typeof name !== 'string' || name === '') throw modelFault(id, 'model_garbage', { detail: 'a tool call without a name' });
    const given = call?.function?.arguments ?? {};
    const index = first + i;
    return {
      kind: 'tool_call',
      index,
      id: typeof call?.id === 'string' && call.id !== '' ? call.id : `call_${index}`,
      name,
      arguments: typeof given === 'string' ? given : JSON.stringify(given),
    };
  });
};

/** Ollama names a model without a tag `NAME:latest`. */
export const sameModel = (a: string, b: string): boolean => a === b || `${a}:latest` === b || a === `${b}:latest`;

/** The longest context that a model was made for, of what /api/show says. */
export const contextIn = (modelInfo: unknown): number | undefined => {
  if (typeof modelInfo !== 'object' || modelInfo === null) return undefined;
  const info = modelInfo as Readonly<Record<string, unknown>>;
  const tokens = info[`${String(info['general.architecture'])}.context_length`];
  return typeof tokens === 'number' ? tokens : undefined;
};
