import type { Route } from '../table.js';
import { agentRoutes } from './agents.js';
import { artifactRoutes } from './artifacts.js';
import { batchRoutes } from './batch.js';
import { dlqRoutes } from './dlq.js';
import { documentRoutes } from './docs.js';
import { eventRoutes } from './events.js';
import { healthRoutes } from './health.js';
import { liveTextRoutes } from './live-text.js';
import { projectRoutes } from './projects.js';
import { taskRoutes } from './tasks.js';

/** Every route there is. */
export const ROUTES: readonly Route[] = [
  ...taskRoutes,
  ...batchRoutes,
  ...eventRoutes,
  ...liveTextRoutes,
  ...projectRoutes,
  ...artifactRoutes,
  ...agentRoutes,
  ...dlqRoutes,
  ...healthRoutes,
  ...documentRoutes,
];
