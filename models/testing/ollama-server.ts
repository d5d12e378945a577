// Ollama's wire, small: NDJSON from /api/chat, /api/tags, /api/embed.
import { openWireServer, SERVER_SECRET, type Wire, type WireServer } from './wire-server.js';

const line = (value: object): string => `${JSON.stringify({ model: 'test-model', created_at: '2026-11-21T00:00:00Z', ...value })}\n`;

const call = (id: string, name: string, given?: object): object => ({
  id,
  function: { index: 0, name, ...(given && { arguments: given }) },
});
const end = (finish: string, metered: boolean): string =>
  line({
    message: { role: 'assistant', content: '' },
    done: true,
    done_reason: finish,
    load_duration: 3_000_000,
    ...(metered ? { prompt_eval_count: 11, eval_count: 3 } : {}),
  });

const wire: Wire = {
  start: { 'content-type': 'application/x-ndjson' },
  chunk: (text) => line({ message: { role: 'assistant', content: text }, done: false }),
  refusal: () => line({ message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' }),
  streamError: () => line({ error: SERVER_SECRET }),
  end,
  toolCalls: () =>
    line({ message: { role: 'assistant', content: '', tool_calls: [call('c1', 'add', { a: 1 })] }, done: false }) +
    line({ message: { role: 'assistant', content: '', tool_calls: [call('', 'sub')] }, done: false }),
  repeated: (pieces) => pieces.map(wire.chunk).join('') + end('stop', true) + end('stop', true),
  // Words only, as Ollama does it.
  tooLong: { status: 400, code: '' },
  whole: () => end('length', true),
  errorBody: () => JSON.stringify({ error: SERVER_SECRET }),
  isGenerate: (path) => path === '/api/chat',
  other: (path, body, server) => {
    const { models } = server;
    if (path === '/api/show')
      return { model_info: { 'general.architecture': 'test', 'test.context_length': 131_072 }, capabilities: ['completion'] };
    if (path === '/api/ps') return { models: server.loaded.map((name) => ({ name, size: 7, size_vram: 5, context_length: 4096 })) };
    if (path === '/api/generate') {
      const { model, keep_alive } = body as { model: string; keep_alive?: number };
      server.loaded = keep_alive === 0 ? [] : [model];
      return { model, response: '', done: true, done_reason: keep_alive === 0 ? 'unload' : 'load' };
    }
    if (path === '/api/tags') return { models: models.map((name) => ({ name, model: name, digest: `digest-of-${name}` })) };
    if (path !== '/api/embed') return false;
    const { input } = body as { input: readonly string[] };
    return { model: 'test-model', embeddings: input.map((text) => [text.length, 1]), prompt_eval_count: 5 };
  },
};

/** @returns a server whose `url` is Ollama's root. */
export const openOllamaServer = (): Promise<WireServer> => openWireServer(wire);
