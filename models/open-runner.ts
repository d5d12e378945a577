// From a model's configuration to its runner. Client packages are loaded only where servers.yaml names a model that needs them.
import { resolve } from 'node:path';
import type { ModelConfig } from '../schemas/index.js';
import type { Clock } from './clock.js';
import { type Exchange, openRemote } from './remote/index.js';
import type { ModelRunner } from './runner.js';
import { openScripted } from './scripted/runner.js';
import { loadScript } from './scripted/script.js';
import type { Transport } from './transport.js';

/** Where Ollama listens when nobody said otherwise. */
export const OLLAMA_URL = 'http://127.0.0.1:11434';

export interface OpenRunnerDeps {
  /** Folder of servers.yaml: script paths are relative to it. */
  readonly baseDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly transport?: Transport;
  /** The node that this is, and the way to models that other nodes have. */
  readonly node?: string;
  readonly exchange?: Exchange;
}

export const providerOf = (config: ModelConfig): string => config.provider ?? config.runner;

/** The environment variable that is named but not set: until it is, the model cannot be asked. */
export const missingKeyOf = (config: ModelConfig, env: OpenRunnerDeps['env']): string | undefined =>
  config.api_key_env !== undefined && !env[config.api_key_env]?.trim() ? config.api_key_env : undefined;

/** @throws Fault `bad_script` for a script that cannot be read or is none. */
export const openRunner = async (
  config: ModelConfig,
  { baseDir, env, clock, transport, node, exchange }: OpenRunnerDeps,
): Promise<ModelRunner> => {
  const { id, idle_timeout_ms, timeout_ms } = config;
  const shared = { id, idle_timeout_ms, timeout_ms, provider: providerOf(config), clock };
  if (config.node !== undefined && config.node !== node && exchange !== undefined)
    return openRemote({ id, node: config.node, provider: providerOf(config), exchange, clock });
  if (config.runner === 'scripted')
    return openScripted({
      ...shared,
      ...(config.script === undefined ? {} : { script: await loadScript(resolve(baseDir, config.script)) }),
    });
  const server = {
    ...shared,
    model: config.model ?? id,
    base_url: config.base_url ?? OLLAMA_URL,
    ...(transport === undefined ? {} : { transport }),
  };
  const key = config.api_key_env === undefined ? undefined : env[config.api_key_env]?.trim();
  const reached = { ...server, context_tokens: config.context_tokens, ...(key ? { api_key: key } : {}) };
  if (config.runner === 'ollama') {
    const { openOllama } = await import('./ollama.js');
    return openOllama({ ...reached, ...(config.keep_alive_s === undefined ? {} : { keep_alive_s: config.keep_alive_s }) });
  }
  const { openOpenAi } = await import('./openai.js');
  return openOpenAi(reached);
};
