export { CHECK_OUTCOMES, type Check, type CheckedModel, type CheckOutcome } from './check.js';
export { CHECKS, type CheckResult, type ConformanceOptions, type ConformanceReport, checkConformance } from './run.js';
