// Where the one set of servers lives and listens, and where downloads go: defaults, and what the environment says.
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { failure } from './failure.mjs';

export const HOST = '127.0.0.1';
/** What `up` starts unless it is told otherwise, and the model servers, which are built first. */
export const BASE = Object.freeze(['kafka', 'redis', 'registry']);
export const MODELS = Object.freeze(['ollama', 'llama']);
export const NAMES = Object.freeze([...BASE, ...MODELS]);
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * What is asked for when the environment says nothing; `controller` is the broker's second port, nobody connects to it from outside.
 * Ollama's is not its usual one: that may be the user's own.
 */
export const DEFAULT_PORTS = Object.freeze({ kafka: 19092, controller: 19093, redis: 16379, registry: 18081, ollama: 11435, llama: 8088 });

const portFrom = (env, name, otherwise) => {
  const text = env[name];
  if (text === undefined || text === '') return otherwise;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw failure('bad_setting', `${name}=${text} is not a port. Give a number from 1 to 65535, or leave it out for ${otherwise}.`);
};

/** The folder of downloads, shared by every checkout and every test of this user. */
export const cacheDir = (env = process.env) => join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dats', 'servers');

/** Settings of the one set of servers that `servers.mjs` looks after. */
export const settingsFrom = (env = process.env) => {
  const kafka = portFrom(env, 'DATS_SERVERS_KAFKA_PORT', DEFAULT_PORTS.kafka);
  const moved = kafka !== DEFAULT_PORTS.kafka;
  return {
    dir: resolve(env.DATS_SERVERS_DIR || join(ROOT, '.dats-servers')),
    cache: cacheDir(env),
    ports: {
      kafka,
      controller: portFrom(env, 'DATS_SERVERS_KAFKA_CONTROLLER_PORT', moved ? kafka + 1 : DEFAULT_PORTS.controller),
      redis: portFrom(env, 'DATS_SERVERS_REDIS_PORT', DEFAULT_PORTS.redis),
      registry: portFrom(env, 'DATS_SERVERS_REGISTRY_PORT', DEFAULT_PORTS.registry),
      ollama: portFrom(env, 'DATS_SERVERS_OLLAMA_PORT', DEFAULT_PORTS.ollama),
      llama: portFrom(env, 'DATS_SERVERS_LLAMA_PORT', DEFAULT_PORTS.llama),
    },
  };
};
