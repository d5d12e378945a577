import { openAiRoutes } from '../openai/index.js';
import type { Route } from '../table.js';
import { agentRoutes } from './agents.js';
import { alertRoutes } from './alerts.js';
import { artifactRoutes } from './artifacts.js';
import { attestationRoutes } from './attestations.js';
import { auditRoutes } from './audit.js';
import { batchRoutes } from './batch.js';
import { cascadeRoutes } from './cascades.js';
import { configRoutes } from './config.js';
import { dlqRoutes } from './dlq.js';
import { documentRoutes } from './docs.js';
import { eventRoutes } from './events.js';
import { healthRoutes } from './health.js';
import { liveTextRoutes } from './live-text.js';
import { metricsRoutes } from './metrics.js';
import { nodeCommandRoutes } from './node-commands.js';
import { nodeRoutes } from './nodes.js';
import { projectStateRoutes } from './project-state.js';
import { projectRoutes } from './projects.js';
import { provenanceRoutes } from './provenance.js';
import { queryRoutes } from './query.js';
import { quotaRoutes } from './quotas.js';
import { replayRoutes } from './replay.js';
import { rollbackRoutes } from './rollbacks.js';
import { statsRoutes } from './stats.js';
import { taintRoutes } from './taint.js';
import { taskRoutes } from './tasks.js';
import { verifyRoutes } from './verify.js';
import { viewRoutes } from './views.js';

/** Every route there is. */
export const ROUTES: readonly Route[] = [
  ...taskRoutes,
  ...batchRoutes,
  ...eventRoutes,
  ...liveTextRoutes,
  ...projectRoutes,
  ...projectStateRoutes,
  ...artifactRoutes,
  ...taintRoutes,
  ...cascadeRoutes,
  ...rollbackRoutes,
  ...replayRoutes,
  ...alertRoutes,
  ...provenanceRoutes,
  ...attestationRoutes,
  ...auditRoutes,
  ...verifyRoutes,
  ...queryRoutes,
  ...statsRoutes,
  ...viewRoutes,
  ...quotaRoutes,
  ...agentRoutes,
  ...openAiRoutes,
  ...nodeRoutes,
  ...nodeCommandRoutes,
  ...configRoutes,
  ...dlqRoutes,
  ...healthRoutes,
  ...metricsRoutes,
  ...documentRoutes,
];
