// How a node says that it is, for the documents.
import type { NodeVitals } from '../../schemas/index.js';

export const VITALS: NodeVitals = {
  admission: 'open',
  uptime_s: 86_400,
  cpu_ratio: 0.2,
  load_1m: 1.5,
  rss_bytes: 400_000_000,
  memory_free_bytes: 40_000_000_000,
  memory_total_bytes: 64_000_000_000,
  gpus: [
    {
      index: 0,
      name: 'NVIDIA RTX 4090',
      utilisation_ratio: 0.8,
      memory_used_bytes: 20_000_000_000,
      memory_total_bytes: 24_000_000_000,
      temperature_c: 61,
    },
  ],
  models: [{ id: 'ollama-small', ok: true, loaded: true }],
  lag: { core: 0, workers: 3 },
  running_work: 2,
};
