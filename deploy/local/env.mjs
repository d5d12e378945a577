// The settings with which DATS uses these servers, as `NAME=value` lines.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Names both model servers: the first of its models is Ollama's, the second llama.cpp's. */
const MODELS_CONFIG = join(dirname(fileURLToPath(import.meta.url)), 'models.yaml');

/** Of each server, given its address. */
const SETTINGS = {
  kafka: (address) => ({ DATS_LOG_KIND: 'kafka', DATS_LOG_KAFKA_BROKERS: address }),
  registry: (address) => ({ DATS_LOG_KAFKA_REGISTRY_URL: address }),
  redis: (address) => ({ DATS_VIEWS_KIND: 'redis', DATS_VIEWS_REDIS_URL: address }),
  ollama: (address) => ({ DATS_CONFIG: MODELS_CONFIG, DATS_MODELS_0_BASE_URL: address }),
  llama: (address) => ({ DATS_CONFIG: MODELS_CONFIG, DATS_MODELS_1_BASE_URL: address }),
};

/** @param {{ kafka?: string, registry?: string, redis?: string, ollama?: string, llama?: string }} addresses as the servers' `address` */
export const environment = (addresses) =>
  Object.assign(
    {},
    ...Object.entries(SETTINGS).map(([name, settings]) => (addresses[name] === undefined ? {} : settings(addresses[name]))),
  );

export const environmentLines = (addresses) =>
  Object.entries(environment(addresses))
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
