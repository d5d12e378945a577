// The door of the models room. The runners' client packages are loaded only when a configured model needs them.

export { costOf, type Price, priceOf, promptTokensOf, tokensOf } from './accounting.js';
export { type Candidate, choose, type Wish } from './choose.js';
export { type Clock as ModelClock, systemClock } from './clock.js';
export * from './conformance/index.js';
export { LONGEST_RETRY_AFTER_MS } from './faults.js';
export * from './gateway.js';
export { isLocal } from './locality.js';
export { type GatewayLogger, type GpuReading, type ModelGatewayOptions, openModelGateway } from './model-gateway.js';
export { missingKeyOf, openRunner } from './open-runner.js';
export { matchesAny } from './pattern.js';
export { type Unmatched, unmatchedModels } from './pattern-check.js';
export type { ModelPolicy } from './policy.js';
export * from './remote/index.js';
export * from './runner.js';
export { fenced } from './scripted/answers.js';
export { openScripted, type ScriptedOptions } from './scripted/runner.js';
export { loadScript, parseScript, type Script } from './scripted/script.js';
