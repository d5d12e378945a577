import { chatRoutes } from './chat.js';
import { embeddingRoutes } from './embeddings.js';
import { modelRoutes } from './models.js';

export { openAiErrorSchema, refusal as openAiRefusal } from './errors.js';
export { PREFIX as OPENAI_PREFIX } from './surface.js';

/** Everything under /v1. */
export const openAiRoutes = [...chatRoutes, ...embeddingRoutes, ...modelRoutes];
