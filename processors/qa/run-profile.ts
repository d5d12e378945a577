// A profile's checks over one attempt, and the verdict they add up to. Syntax first: code that cannot be read is not run.
import type { CheckResult, QaProfile } from '../../schemas/index.js';
import type { CheckInput, CheckPorts } from './check.js';
import { CHECKS } from './checks/index.js';

export interface ProfileResult {
  readonly checks: readonly CheckResult[];
  /** Share of the checks that passed, 0..1; skipped ones do not count; 1 when nothing was checked. */
  readonly score: number;
  readonly passed: boolean;
  /** One for each failed check, in words that the next attempt can use; empty when passed. */
  readonly reasons: readonly string[];
  /** Another attempt could do better. What an attempt got wrong always is; the input of a task never gets here as a failure. */
  readonly retryable: boolean;
}

const MAX_REASON_CHARACTERS = 8_000;

function verdictOf(checks: readonly CheckResult[]): ProfileResult {
  const counted = checks.filter((check) => check.status !== 'skipped');
  const failed = counted.filter((check) => check.status === 'failed');
  return {
    checks,
    score: counted.length === 0 ? 1 : (counted.length - failed.length) / counted.length,
    passed: failed.length === 0,
    reasons: failed.map((check) => `${check.name}: ${check.detail ?? 'failed'}`.slice(0, MAX_REASON_CHARACTERS)),
    retryable: failed.length > 0,
  };
}

/**
 * Runs what the profile asks for: `none` nothing, `syntax` the syntax of every file, `tests` also the task's tests when the syntax is right.
 * @throws Fault terminal `checker_missing`, `sandbox_unavailable`, `unsupported_command`; the signal's reason when aborted.
 */
export async function runProfile(profile: QaProfile, input: CheckInput, ports: CheckPorts, signal: AbortSignal): Promise<ProfileResult> {
  const checks: CheckResult[] = [];
  for (const check of CHECKS) {
    if (!check.profiles.includes(profile) || !check.applies(input)) continue;
    signal.throwIfAborted();
    if (check.name === 'tests' && checks.some((result) => result.status === 'failed')) {
      checks.push({ name: 'tests', status: 'skipped', detail: 'not run: the syntax is wrong', duration_ms: 0 });
      continue;
    }
    checks.push(...(await check.run(input, ports, signal)));
  }
  return verdictOf(checks);
}
