// How a node is that has nothing to do.
import type { NodeVitals } from '../../../schemas/index.js';

export const IDLE_VITALS: NodeVitals = {
  admission: 'open',
  uptime_s: 1,
  cpu_ratio: 0,
  load_1m: 0,
  rss_bytes: 1,
  memory_free_bytes: 1,
  memory_total_bytes: 1,
  gpus: [],
  models: [],
  lag: {},
  running_work: 0,
};
