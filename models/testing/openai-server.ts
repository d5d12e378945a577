// OpenAI's wire, small: server-sent events from /v1/chat/completions, /v1/models, /v1/embeddings.
import { openWireServer, SERVER_SECRET, type Wire, type WireServer } from './wire-server.js';

const event = (value: object): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', model: 'test-model', ...value })}\n\n`;
const choice = (delta: object, finish_reason: string | null = null): object => ({ choices: [{ index: 0, delta, finish_reason }] });

const usage = { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14, prompt_tokens_details: { cached_tokens: 7 } };
const pieces = (...tool_calls: readonly object[]): string => event(choice({ tool_calls }));
const begin = { index: 0, id: 'c1', type: 'function', function: { name: 'add', arguments: '' } };

const wire: Wire = {
  start: { 'content-type': 'text/event-stream' },
  chunk: (text) => event(choice({ content: text })),
  refusal: () => event(choice({}, 'content_filter')),
  streamError: () => event({ error: { message: SERVER_SECRET, type: 'server_error', code: null } }),
  end: (finish, metered) => `${event(choice({}, finish))}${metered ? event({ choices: [], usage }) : ''}data: [DONE]\n\n`,
  toolCalls: () =>
    pieces(begin) +
    pieces({ index: 0, function: { arguments: '{"a"' } }) +
    // The beginning comes again.
    pieces(begin) +
    pieces({ index: 0, function: { arguments: ':1}' } }) +
    pieces({ index: 1, function: { name: 'sub', arguments: '{}' } }) +
    pieces({ index: 1, function: { arguments: '' } }),
  repeated: (texts) => {
    const role = event(choice({ role: 'assistant', content: '' }));
    const counted = event({ choices: [], usage });
    return `${role}${role}${texts.map(wire.chunk).join('')}${event(choice({}, 'stop')).repeat(2)}${counted}${counted}data: [DONE]\n\n`;
  },
  tooLong: { status: 400, code: 'context_length_exceeded' },
  errorBody: (code) => JSON.stringify({ error: { message: SERVER_SECRET, type: code, code } }),
  isGenerate: (path) => path === '/v1/chat/completions',
  other: (path, body, { models }) => {
    if (path === '/v1/models') return { object: 'list', data: models.map((id) => ({ id, object: 'model', max_model_len: 8192 })) };
    if (path === '/slots')
      return [
        { id: 0, is_processing: true },
        { id: 1, is_processing: false },
      ];
    if (path !== '/v1/embeddings') return false;
    const { input } = body as { input: readonly string[] };
    // Backwards, because only `index` says which is which.
    const data = input.map((text, index) => ({ object: 'embedding', index, embedding: [text.length, 1] })).reverse();
    return { object: 'list', data, model: 'test-model', usage: { prompt_tokens: 5, total_tokens: 5 } };
  },
};

/** @returns a server whose `url` is the root; a runner's base_url is that and `/v1`. */
export const openOpenAiServer = (port?: number): Promise<WireServer> => openWireServer(wire, port);
