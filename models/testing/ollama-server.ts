// Ollama's wire, small: NDJSON from /api/chat, /api/tags, /api/embed.
import { openWireServer, SERVER_SECRET, type Wire, type WireServer } from './wire-server.js';

const line = (value: object): string => `${JSON.stringify({ model: 'test-model', created_at: '2026-11-21T00:00:00Z', ...value })}\n`;

const wire: Wire = {
  start: { 'content-type': 'application/x-ndjson' },
  chunk: (text) => line({ message: { role: 'assistant', content: text }, done: false }),
  refusal: () => line({ message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' }),
  streamError: () => line({ error: SERVER_SECRET }),
  end: (finish, metered) =>
    line({
      message: { role: 'assistant', content: '' },
      done: true,
      done_reason: finish,
      ...(metered ? { prompt_eval_count: 11, eval_count: 3 } : {}),
    }),
  errorBody: () => JSON.stringify({ error: SERVER_SECRET }),
  isGenerate: (path) => path === '/api/chat',
  other: (path, body, models) => {
    if (path === '/api/tags') return { models: models.map((name) => ({ name, model: name, digest: `digest-of-${name}` })) };
    if (path !== '/api/embed') return false;
    const { input } = body as { input: readonly string[] };
    return { model: 'test-model', embeddings: input.map((text) => [text.length, 1]), prompt_eval_count: 5 };
  },
};

/** @returns a server whose `url` is Ollama's root. */
export const openOllamaServer = (): Promise<WireServer> => openWireServer(wire);
