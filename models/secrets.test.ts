// Keys and prompts reach no error, record or log, whatever goes wrong (M3).
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ModelCall, modelConfigSchema } from '../schemas/index.js';
import { openModelGateway } from './model-gateway.js';
import { openBrokenPeer, PEERS, type Peer } from './testing/broken-peer.js';
import { openOllamaServer } from './testing/ollama-server.js';
import { openOpenAiServer } from './testing/openai-server.js';
import { BEHAVIOURS, type Behaviour, SERVER_SECRET } from './testing/wire-server.js';

const KEY = 'sk-recognisable-0123456789';
const PROMPT = 'a recognisable prompt';
const TEXT_SO_FAR = 'Hello';
const SECRETS = [KEY, PROMPT, SERVER_SECRET, Buffer.from(KEY).toString('base64')];
/** Ends everything that hangs. */
const LIMITS = { idle_timeout_ms: 500, timeout_ms: 2_000 };
/** These end well. */
const GOOD: ReadonlySet<string> = new Set<Behaviour>(['answer', 'length', 'unmetered', 'tool_calls', 'repeated']);

interface Seen {
  readonly thrown: unknown;
  readonly records: readonly ModelCall[];
  readonly logged: readonly unknown[];
  readonly status: unknown;
}

/** One ask of one model, and everything that it leaves behind. */
const asked = async (runner: 'ollama' | 'openai', url: string): Promise<Seen> => {
  const records: ModelCall[] = [];
  const logged: unknown[] = [];
  const logger = { info: (...said: unknown[]) => void logged.push(said), warn: (...said: unknown[]) => void logged.push(said) };
  const base_url = runner === 'openai' ? `${url}/v1` : url;
  const config = { id: 'm', runner, model: 'test-model', base_url, tiers: ['small'], api_key_env: 'KEY', context_tokens: 1024, ...LIMITS };
  const gateway = await openModelGateway({
    models: [modelConfigSchema.parse(config)],
    baseDir: '.',
    env: { KEY },
    node: 'n',
    onCall: (call) => void records.push(call),
    logger,
  });
  let thrown: unknown;
  try {
    await gateway.ask(
      { messages: [{ role: 'user', content: PROMPT }], purpose: 'generate', tier: 'small', domain: 'code' },
      AbortSignal.timeout(10_000),
    );
  } catch (error) {
    thrown = error;
  }
  const status = await gateway.status({ fresh: true });
  await gateway.close();
  return { thrown, records, logged, status };
};

const expectSilence = ({ thrown, records, logged, status }: Seen): void => {
  const all = inspect([thrown, records, logged, status], { depth: null, showHidden: true });
  for (const secret of SECRETS) expect(all).not.toContain(secret);
  expect(JSON.stringify(records)).not.toContain(TEXT_SO_FAR);
};

describe.each(['ollama', 'openai'] as const)('of an ask of a server that speaks %s', (runner) => {
  const openServer = runner === 'ollama' ? openOllamaServer : openOpenAiServer;

  it.each(BEHAVIOURS.filter((behaviour) => !GOOD.has(behaviour) && !(runner === 'ollama' && behaviour === 'refuse')))(
    'which does "%s" nothing secret is left, and one record',
    async (behaviour) => {
      const server = await openServer();
      server.behaviour = behaviour;
      try {
        const seen = await asked(runner, server.url);
        expect(server.authorizations[0]).toBe(`Bearer ${KEY}`);
        expect(seen.thrown).toMatchObject({ code: expect.stringMatching(/^model_/) });
        expect(seen.records).toEqual([expect.objectContaining({ error_type: (seen.thrown as { code: string }).code })]);
        expectSilence(seen);
      } finally {
        await server.close();
      }
    },
  );

  it.each(PEERS)('which is no such server but "%s" nothing secret is left', async (peer: Peer) => {
    const broken = await openBrokenPeer(peer);
    try {
      const seen = await asked(runner, broken.url);
      expect(seen.thrown).toBeInstanceOf(Error);
      expectSilence(seen);
    } finally {
      await broken.close();
    }
  });
});
