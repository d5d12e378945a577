// A gateway on a port, with the models that a test wants: real ones behind the real model gateway, or one at the port that does what it is told.
import type { Logger } from 'pino';
import { type Answer, type Ask, type ModelGateway, openModelGateway } from '../../../models/index.js';
import type { ModelCall } from '../../../schemas/index.js';
import type { GatewayOptions } from '../../app.js';
import type { Spending } from '../../deps.js';
import { serveGateway } from '../../server.js';
import { openWorld, type World } from '../../testing/world.js';

export interface Served {
  /** `http://127.0.0.1:1234/v1` */
  readonly baseURL: string;
  readonly world: World;
  /** Telemetry of the real model gateway. */
  readonly calls: readonly ModelCall[];
  close(): Promise<void>;
}

export interface ServedOptions {
  /** `models` of servers.yaml, with what else is wanted of it. */
  readonly config: { readonly models: readonly object[]; readonly [section: string]: unknown };
  /** Instead of the models of the configuration. */
  readonly models?: Partial<ModelGateway>;
  readonly baseDir?: string;
  readonly spending?: Spending;
  readonly gateway?: GatewayOptions;
  readonly logger?: Logger;
}

export const SCRIPTED = { id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] } as const;

const open = async (options: ServedOptions, models: Partial<ModelGateway>): Promise<World> =>
  openWorld({
    config: { version: 1, ...options.config },
    models,
    ...(options.spending === undefined ? {} : { spending: options.spending }),
    ...(options.gateway === undefined ? {} : { gateway: options.gateway }),
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  });

export const serve = async (options: ServedOptions): Promise<Served> => {
  const calls: ModelCall[] = [];
  let models = options.models;
  if (models === undefined) {
    // The configuration with its defaults, as the world reads it.
    const probe = await open(options, {});
    const { config } = probe.deps;
    await probe.close();
    const opened = await openModelGateway({
      models: config.models,
      prices: config.prices,
      baseDir: options.baseDir ?? '.',
      env: {},
      node: 'test',
      onCall: (call) => void calls.push(call),
    });
    models = {
      ask: (asked, signal) => opened.ask(asked, signal),
      embed: (asked, signal) => opened.embed(asked, signal),
      status: (how) => opened.status(how),
      close: () => opened.close(),
    };
  }
  const world = await open(options, models);
  const served = await serveGateway(world.app, { host: '127.0.0.1', port: 0 });
  return {
    baseURL: `${served.url}/v1`,
    world,
    calls,
    close: async () => {
      await served.close();
      await models.close?.();
      await world.close();
    },
  };
};

export const ANSWER: Answer = {
  text: 'four',
  model: 'scripted',
  provider: 'scripted',
  scripted: true,
  finish_reason: 'stop',
  input_tokens: 3,
  output_tokens: 1,
  duration_ms: 1,
};

/** A model gateway at the port, whose answer is what `ask` says. */
export const modelsThat = (ask: (ask: Ask, signal: AbortSignal) => Promise<Answer> | Answer): Partial<ModelGateway> => ({
  ask: async (asked, signal) => {
    asked.onDecision?.({ chosen: 'scripted', reason: 'only_candidate', candidates: [] });
    return ask(asked, signal);
  },
});

/** Rejects when the signal aborts. */
export const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
