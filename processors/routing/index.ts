export { createAgents, type AgentsDeps } from './agents.js';
export { analyseEffect, type AnalyseOptions, titleOf } from './analyse-effect.js';
export { analysisOf, type Classification, classify, SIGNALS } from './classify.js';
export { ANSWER_LIMIT_MS, routingDecider, type RoutingOptions, type RoutingState } from './decider.js';
export { decomposeEffect } from './decompose-effect.js';
export { estimateOf, type Throughput, THROUGHPUT } from './estimate.js';
export { cycleIn, listPlanIn, PLAN_LIMIT_STEPS, planIn, planOf, type PlanResult, type Step, withTests } from './plan.js';
export { ANALYSE_PROMPT, DECOMPOSE_PROMPT, LIST_PLAN } from './prompt-versions.js';
export { type Features, type Material, materialOf, SCAN_LIMIT_CHARS, signalsOf } from './signals.js';
