// Gateways for tests: a clock that stands still, chance without luck, models from scripts and from small servers, and everything closed at the end.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModelCall, type ModelConfig, modelConfigSchema } from '../../schemas/index.js';
import type { Ask, ModelGateway, ModelStatus } from '../gateway.js';
import { type ModelGatewayOptions, openModelGateway } from '../model-gateway.js';
import { type ManualClock, manualClock } from './manual-clock.js';
import type { WireServer } from './wire-server.js';

export type Config = Partial<ModelConfig> & { id: string; runner: ModelConfig['runner'] };

export const ASK: Ask = {
  messages: [{ role: 'user', content: 'write a slug' }],
  purpose: 'generate',
  tier: 'small',
  domain: 'code',
  task_id: 't1',
  attempt: 1,
};

/** Looks again each turn of the event loop: for what happens inside this process and tells nobody. */
export const eventually = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
};

export interface Gateways {
  readonly clock: ManualClock;
  readonly calls: ModelCall[];
  open(models: readonly Config[], options?: Partial<ModelGatewayOptions>): Promise<ModelGateway>;
  serve(open: () => Promise<WireServer>): Promise<WireServer>;
  /** A model that gives these answers, by attempt. */
  scripted(id: string, answers: readonly object[], over?: Partial<ModelConfig>): Promise<Config>;
  /** `<model> <outcome> <error>` of every call. */
  outcomes(): readonly string[];
  close(): Promise<void>;
}

export const statusOf = async (gateway: ModelGateway, id: string): Promise<ModelStatus> =>
  (await gateway.status()).find((status) => status.id === id)!;

export const openGateways = async (): Promise<Gateways> => {
  const closing: (() => Promise<unknown>)[] = [];
  const clock = manualClock(1);
  const calls: ModelCall[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'dats-models-'));
  const config = (over: Config): ModelConfig =>
    modelConfigSchema.parse({ tiers: ['small'], model: over.runner === 'scripted' ? undefined : 'test-model', ...over });
  return {
    clock,
    calls,
    open: async (models, options = {}) => {
      const gateway = await openModelGateway({
        models: models.map(config),
        baseDir: folder,
        env: {},
        node: 'n1',
        clock,
        random: () => 0,
        onCall: (call) => calls.push(call),
        ...options,
      });
      closing.push(() => gateway.close());
      return gateway;
    },
    serve: async (open) => {
      const server = await open();
      closing.push(() => server.close());
      return server;
    },
    scripted: async (id, answers, over = {}) => {
      await writeFile(join(folder, `${id}.json`), JSON.stringify({ version: 1, rules: [{ answers }] }));
      return { id, runner: 'scripted', script: `${id}.json`, ...over };
    },
    outcomes: () => calls.map(({ model, outcome, error_type }) => `${model} ${outcome}${error_type ? ` ${error_type}` : ''}`),
    close: async () => {
      for (const close of closing.reverse()) await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
