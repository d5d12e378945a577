// All checks of one model, one after the other. Knows no configuration and prints nothing.

import { timeoutSignal } from '../../schemas/index.js';
import { type Clock, systemClock } from '../clock.js';
import type { ModelRunner } from '../runner.js';
import { CHECK_LIMIT_MS, type Check, type CheckedModel, type CheckOutcome, type Finding } from './check.js';
import { FIGURE_CHECKS } from './figure-checks.js';
import { FORM_CHECKS } from './form-checks.js';
import { LIFE_CHECKS } from './life-checks.js';
import { TEXT_CHECKS } from './text-checks.js';

/** In the order in which they are made; where the first fails no other is. */
export const CHECKS: readonly Check[] = [...TEXT_CHECKS, ...FORM_CHECKS, ...FIGURE_CHECKS, ...LIFE_CHECKS];

export interface CheckResult extends Finding {
  readonly name: string;
  readonly tries: string;
  /** DATS cannot work with a server that fails it. */
  readonly needed: boolean;
  /** What DATS does about it; absent where it is ok. */
  readonly dats?: string;
}

export interface ConformanceReport {
  /** Everything that DATS needs works. */
  readonly ok: boolean;
  readonly checks: readonly CheckResult[];
  /** Names of checks that were not made because the model does not answer. */
  readonly not_made: readonly string[];
}

export interface ConformanceOptions {
  readonly model: CheckedModel;
  /** Default: all of CHECKS. */
  readonly checks?: readonly Check[];
  readonly onBegin?: (check: Check) => void;
  readonly onEnd?: (result: CheckResult) => void;
  /** Of one check, in milliseconds. Default: CHECK_LIMIT_MS. */
  readonly limit_ms?: number;
  readonly clock?: Clock;
}

const FAILING: ReadonlySet<CheckOutcome> = new Set(['missing', 'failed']);

const made = async (check: Check, runner: ModelRunner, options: ConformanceOptions, signal: AbortSignal): Promise<CheckResult> => {
  const { clock = systemClock, limit_ms = CHECK_LIMIT_MS } = options;
  const limit = timeoutSignal(limit_ms);
  let finding: Finding;
  try {
    finding = await check.run({ runner, model: options.model, clock, signal: AbortSignal.any([signal, limit]) });
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.aborted) throw error;
    finding = { outcome: 'failed', evidence: `no end after ${limit_ms} ms` };
  }
  const { name, tries, needed = false, about } = check;
  return { name, tries, needed, ...finding, ...(finding.outcome === 'ok' ? {} : { dats: about[finding.outcome] }) };
};

/** @throws the signal's reason */
export const checkConformance = async (
  runner: ModelRunner,
  options: ConformanceOptions,
  signal: AbortSignal,
): Promise<ConformanceReport> => {
  const wanted = options.checks ?? CHECKS;
  const checks: CheckResult[] = [];
  for (const check of wanted) {
    options.onBegin?.(check);
    const result = await made(check, runner, options, signal);
    checks.push(result);
    options.onEnd?.(result);
    if (check.name === 'answers' && result.outcome === 'failed') break;
  }
  return {
    ok: !checks.some(({ needed, outcome }) => needed && FAILING.has(outcome)),
    checks,
    not_made: wanted.slice(checks.length).map(({ name }) => name),
  };
};
