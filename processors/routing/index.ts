export { type AgentsDeps, createAgents } from './agents.js';
export { ANALYSE_SYSTEM, type AnalyseOptions, analyseEffect, titleOf } from './analyse-effect.js';
export { analysisOf, type Classification, classify, SIGNALS } from './classify.js';
export { ANSWER_LIMIT_MS, type RoutingOptions, type RoutingState, routingDecider } from './decider.js';
export { DECOMPOSE_SYSTEM, decomposeEffect } from './decompose-effect.js';
export { estimateOf, THROUGHPUT, type Throughput } from './estimate.js';
export { LIST_PLAN } from './list-plan.js';
export { cycleIn, listPlanIn, PLAN_LIMIT_STEPS, type PlanResult, planIn, planOf, type Step, withTests } from './plan.js';
export { type Features, type Material, materialOf, SCAN_LIMIT_CHARS, signalsOf } from './signals.js';
