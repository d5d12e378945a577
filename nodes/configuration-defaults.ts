// What holds where no servers.yaml is found. The servers.yaml of this repository says the same, with comments; a test compares the two.
import type { z } from 'zod';
import type { serversSchema } from '../schemas/index.js';

const OLLAMA = 'http://127.0.0.1:11434';

/** Fresh on every call, because overrides change it in place. */
export const builtInServers = (): z.input<typeof serversSchema> => ({
  version: 1,
  models: [
    {
      id: 'ollama-small',
      runner: 'ollama',
      base_url: OLLAMA,
      model: 'qwen2.5-coder:1.5b',
      tiers: ['small'],
      preference: 10,
      concurrency: 4,
    },
    {
      id: 'ollama-medium',
      runner: 'ollama',
      base_url: OLLAMA,
      model: 'qwen2.5-coder:7b',
      tiers: ['medium'],
      preference: 10,
      concurrency: 2,
    },
    {
      id: 'ollama-large',
      runner: 'ollama',
      base_url: OLLAMA,
      model: 'qwen2.5-coder:32b',
      tiers: ['large'],
      preference: 10,
      concurrency: 1,
    },
    { id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'], fallback: true, preference: 1000, concurrency: 64 },
  ],
});
