// What an ask fails with when no model is left for it: of each model why, and when to come back.
import { type Decision, Fault, type ScoredCandidate } from '../schemas/index.js';
import type { Asking } from './gateway.js';
import type { ModelLine } from './model-line.js';
import type { ReadyPolicy } from './policy.js';

/** Candidates that waiting brings nothing from. */
const OUT_OF_QUESTION: ReadonlySet<string> = new Set(['other_domain', 'other_model', 'fallback_not_needed']);

export interface NoModelDeps {
  readonly lines: ReadonlyMap<string, ModelLine>;
  readonly policy: Pick<ReadyPolicy, 'isAllowed' | 'maySeeConfidential'>;
}

const barOf = (ask: Asking, id: string, rules: Decision['rules'], { lines, policy }: NoModelDeps): string => {
  if (!policy.isAllowed(id, ask.project_id)) return 'is not on the access list';
  if (ask.local_only === true && lines.get(id)?.local === false) return 'is outside, and this must stay in the building';
  if (ask.local_only === true && !policy.maySeeConfidential(id, ask.project_id))
    return 'is on a node that may not see what is confidential';
  return `is kept away by a strict rule (${rules?.join(', ')})`;
};

const stateOf = ({ id, verdict }: ScoredCandidate, ask: Asking, rules: Decision['rules'], deps: NoModelDeps): string => {
  const health = deps.lines.get(id)?.health;
  if (verdict === 'not_allowed') return `${id} ${barOf(ask, id, rules, deps)}`;
  if (verdict === 'not_able') return `${id} has too short a context (${deps.lines.get(id)?.config.context_tokens} tokens)`;
  return `${id} is ${verdict}${health?.ok === false && health.detail !== undefined ? ` (${health.detail})` : ''}`;
};

export const noModel = (ask: Asking, decision: Decision, deps: NoModelDeps): Fault => {
  const { lines } = deps;
  if (decision.reason === 'unknown_model')
    return new Fault(
      'terminal',
      'model_missing',
      `no model "${ask.model}" in servers.yaml; it has: ${[...lines.keys()].join(', ') || 'none'}. Correct the id, or add the model`,
    );
  const able = decision.candidates.filter(({ verdict }) => !OUT_OF_QUESTION.has(verdict));
  const what = ask.model === undefined ? `for tier ${ask.tier} and domain ${ask.domain}` : `"${ask.model}"`;
  const why =
    able.length === 0
      ? 'none in servers.yaml serves this domain; add one'
      : able.map((one) => stateOf(one, ask, decision.rules, deps)).join('; ');
  if (decision.reason === 'not_allowed') {
    const whose = ask.project_id === undefined ? '' : ` of project ${ask.project_id}`;
    const todo = 'See `access` and the strict rules of `routing` (dats config get), or add a model that may be used';
    return new Fault('terminal', 'model_not_allowed', `no model may be used ${what}${whose}: ${why}. ${todo}`);
  }
  if (able.length > 0 && able.every(({ verdict }) => verdict === 'not_able' || verdict === 'not_allowed'))
    return new Fault(
      'terminal',
      'model_context',
      `the prompt is too long ${what}: ${why}. Make it shorter, or add a model with a longer context`,
    );
  const waits = able
    .filter(({ verdict }) => verdict !== 'not_able' && verdict !== 'not_allowed')
    .map(({ id }) => Math.ceil(lines.get(id)!.readyInMs()))
    .filter((ms) => ms > 0);
  return new Fault(
    'retryable',
    'no_model',
    `no model can answer ${what} now: ${why}`,
    waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) },
  );
};
