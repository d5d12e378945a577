import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../nodes/index.js';
import { environment } from './index.mjs';
import { DEFAULT_PORTS } from './settings.mjs';

const MODELS_YAML = fileURLToPath(new URL('./models.yaml', import.meta.url));
const [ollama, llama] = ['http://127.0.0.1:23456', 'http://127.0.0.1:23457/v1'];
const modelsOf = (path: string, env: Readonly<Record<string, string>>) => {
  const { config, warnings } = loadConfiguration({ path, env });
  expect(warnings).toEqual([]);
  return config.models.map(({ runner, base_url, model }) => [runner, base_url, model]);
};

describe('the settings for DATS', () => {
  it('are of the servers that are given, and of no other', () => {
    expect(environment({})).toEqual({});
    expect(environment({ redis: 'redis://127.0.0.1:1' })).toEqual({
      DATS_VIEWS_KIND: 'redis',
      DATS_VIEWS_REDIS_URL: 'redis://127.0.0.1:1',
    });
    expect(environment({ llama })).toEqual({ DATS_CONFIG: MODELS_YAML, DATS_MODELS_1_BASE_URL: llama });
  });

  it('find the model servers where they are', () => {
    const { DATS_CONFIG, ...env } = environment({ ollama, llama });
    expect(modelsOf(DATS_CONFIG!, env)).toEqual([
      ['ollama', ollama, 'demo-small'],
      ['openai', llama, 'demo-medium'],
    ]);
  });

  it('are not needed where the model servers have their own ports', () => {
    expect(modelsOf(MODELS_YAML, {}).map(([, url]) => url)).toEqual([
      `http://127.0.0.1:${DEFAULT_PORTS.ollama}`,
      `http://127.0.0.1:${DEFAULT_PORTS.llama}/v1`,
    ]);
  });
});
