// From a chat request to what the model gateway is asked. Pure.
//
// M1. What a model would not be told is refused, not dropped: a picture, an answer to a tool call that nobody made is an error of the request.
import type { GenerateRequest, Message, Tool, ToolCall, ToolChoice } from '../../models/index.js';
import type { ChatMessage, ChatRequest } from './chat-request.js';
import { unfit } from './misfit.js';

type Path = readonly PropertyKey[];
type Content = string | readonly { readonly type: string; readonly text?: string | undefined }[];

/** Parts of a message are told apart by a new line. */
const textOf = (content: Content | null | undefined, path: Path): string => {
  if (content === null || content === undefined || typeof content === 'string') return content ?? '';
  return content
    .map(({ type, text }, i) => {
      if (type !== 'text' && type !== 'refusal')
        throw unfit([...path, i, 'type'], `"${type.slice(0, 40)}" parts are not supported: models are sent text only`, 'unsupported_value');
      if (text === undefined && type === 'text') throw unfit([...path, i, 'text'], 'is missing', 'missing_required_parameter');
      return text ?? '';
    })
    .join('\n');
};

const toolCallsOf = (message: Extract<ChatMessage, { role: 'assistant' }>): ToolCall[] =>
  (message.tool_calls ?? []).map(({ id, function: { name, arguments: args } }) => ({ id, name, arguments: args }));

const messageOf = (message: ChatMessage, i: number, made: Set<string>): Message => {
  const path = ['messages', i];
  const content = textOf(message.content, [...path, 'content']);
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system', content };
    case 'user':
      return { role: 'user', content };
    case 'tool':
      if (!made.has(message.tool_call_id))
        throw unfit([...path, 'tool_call_id'], 'no message before it made this tool call; send the message with its "tool_calls" too');
      return { role: 'tool', content, tool_call_id: message.tool_call_id };
    case 'assistant': {
      const calls = toolCallsOf(message);
      for (const { id } of calls) made.add(id);
      const said = content === '' ? (message.refusal ?? '') : content;
      return calls.length === 0 ? { role: 'assistant', content: said } : { role: 'assistant', content: said, tool_calls: calls };
    }
  }
};

const toolsOf = (request: ChatRequest): readonly Tool[] =>
  (request.tools ?? []).map(({ function: { name, description, parameters } }) => ({
    name,
    ...(description === null || description === undefined ? {} : { description }),
    ...(parameters === null || parameters === undefined ? {} : { parameters }),
  }));

const choiceOf = (choice: ChatRequest['tool_choice'], tools: readonly Tool[]): ToolChoice | undefined => {
  if (choice === null || choice === undefined) return undefined;
  if (typeof choice === 'string') {
    if (choice === 'required' && tools.length === 0) throw unfit(['tool_choice'], '"required" needs "tools" to choose from');
    return tools.length === 0 ? undefined : choice;
  }
  const { name } = choice.function;
  if (!tools.some((tool) => tool.name === name)) throw unfit(['tool_choice', 'function', 'name'], `"${name}" is not among "tools"`);
  return { name };
};

const formatOf = (format: ChatRequest['response_format']): Pick<GenerateRequest, 'json' | 'json_schema'> => {
  if (format === null || format === undefined || format.type === 'text') return {};
  if (format.type === 'json_object') return { json: true };
  const { name, schema } = format.json_schema;
  return schema === null || schema === undefined ? { json: true } : { json: true, json_schema: { name, schema } };
};

const limitOf = ({ max_tokens, max_completion_tokens }: ChatRequest): number | undefined => {
  if (typeof max_tokens === 'number' && typeof max_completion_tokens === 'number')
    throw unfit(['max_tokens'], 'is the old name of max_completion_tokens; give one of them');
  return max_completion_tokens ?? max_tokens ?? undefined;
};

/** @throws Fault `validation_failed` */
export const generateRequestOf = (request: ChatRequest): GenerateRequest => {
  if (request.stream !== true && request.stream_options !== null && request.stream_options !== undefined)
    throw unfit(['stream_options'], 'is for streams; set "stream" to true, or leave it out');
  const made = new Set<string>();
  const messages = request.messages.map((message, i) => messageOf(message, i, made));
  const tools = toolsOf(request);
  const choice = choiceOf(request.tool_choice, tools);
  const limit = limitOf(request);
  const { temperature, top_p, presence_penalty, frequency_penalty, seed, stop } = request;
  return {
    messages,
    ...formatOf(request.response_format),
    ...(limit === undefined ? {} : { max_tokens: limit }),
    ...(temperature === null || temperature === undefined ? {} : { temperature }),
    ...(top_p === null || top_p === undefined ? {} : { top_p }),
    ...(presence_penalty === null || presence_penalty === undefined ? {} : { presence_penalty }),
    ...(frequency_penalty === null || frequency_penalty === undefined ? {} : { frequency_penalty }),
    ...(seed === null || seed === undefined ? {} : { seed }),
    ...(stop === null || stop === undefined ? {} : { stop: typeof stop === 'string' ? [stop] : stop }),
    ...(tools.length === 0 ? {} : { tools }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
  };
};
