import { afterEach, expect, it } from 'vitest';
import { modelConfigSchema } from '../schemas/index.js';
import { openModelGateway } from './model-gateway.js';
import { openOllamaServer } from './testing/ollama-server.js';
import { openOpenAiServer } from './testing/openai-server.js';
import type { WireServer } from './testing/wire-server.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let server: WireServer | undefined;
afterEach(() => server?.close());

it.each([
  ['ollama', openOllamaServer, ''],
  ['openai', openOpenAiServer, '/v1'],
] as const)('a server that speaks %s is told the trace of who asks, where there is one', async (runner, open, path) => {
  server = await open();
  const config = { id: 'm', runner, model: 'test-model', base_url: `${server.url}${path}`, tiers: ['small'] };
  const gateway = await openModelGateway({
    models: [modelConfigSchema.parse(config)],
    baseDir: '.',
    env: {},
    node: 'n',
    onCall: () => {},
  });
  const ask = { messages: [{ role: 'user', content: 'hi' }], purpose: 'generate', tier: 'small', domain: 'code' } as const;
  const { signal } = new AbortController();
  await gateway.ask({ ...ask, traceparent: TRACEPARENT }, signal);
  await gateway.ask(ask, signal);
  await gateway.close();
  expect(server.traceparents).toEqual([TRACEPARENT, undefined]);
});
