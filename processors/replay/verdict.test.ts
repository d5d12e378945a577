import { describe, expect, it } from 'vitest';
import type { ReplayLane } from '../../schemas/index.js';
import { judge } from './verdict.js';

const lane = (more: Partial<ReplayLane> = {}): ReplayLane => ({
  tasks: 100,
  completed: 95,
  failed: 5,
  cancelled: 0,
  attempts: 120,
  first_pass_yield: 0.8,
  rejected: 20,
  unanswered: 0,
  tokens_in: 1_000,
  tokens_out: 1_000,
  cost_usd: 10,
  unpriced: 0,
  makespan_ms: 1_000,
  lead_ms_p50: 100,
  lead_ms_p95: 200,
  by_tier: {},
  by_model: {},
  ...more,
});
const counters = { served: 100, missed: 0, blocked: 0, diverged: 0 };
const judged = (candidate: Partial<ReplayLane>, more: Partial<Parameters<typeof judge>[0]> = {}) =>
  judge({
    grade: 'policy',
    lanes: { observed: lane(), baseline: lane(), candidate: lane(candidate) },
    counters: { baseline: counters, candidate: { ...counters, diverged: 3 } },
    estimates: { outcomes: 0, unseen: 0 },
    comparability: { reproduced: 1, known: 1, comparable: true },
    ...more,
  });

describe('the verdict', () => {
  it('is pass where nothing is worse, and says what is better', () => {
    expect(judged({ cost_usd: 5 })).toMatchObject({ verdict: 'pass', reasons: ['better: cost: $10.00 -> $5.00'] });
    expect(judged({ lead_ms_p95: 210, completed: 95 })).toMatchObject({ verdict: 'pass', summary: 'pass: not worse' });
  });

  it('is hold where anything is, whatever else is better', () => {
    const { verdict, reasons } = judged({ cost_usd: 5, completed: 90, lead_ms_p95: 500, first_pass_yield: 0.7 });
    expect(verdict).toBe('hold');
    expect(reasons.filter((reason) => reason.startsWith('worse'))).toHaveLength(3);
  });

  it('does not compare costs that are not all known', () => {
    const { verdict, reasons } = judged({ cost_usd: 50, unpriced: 1 });
    expect(verdict).toBe('pass');
    expect(reasons.join()).toMatch(/cost is not compared/);
  });

  it('is not comparable where the baseline is not what happened, calls were blocked, or nothing is known', () => {
    const comparability = { reproduced: 0.9, known: 1, comparable: true };
    expect(judged({}, { comparability })).toMatchObject({ verdict: 'not_comparable', summary: expect.stringMatching(/only 90 %/) });
    const blocked = { baseline: counters, candidate: { ...counters, blocked: 20 } };
    expect(judged({}, { counters: blocked }).verdict).toBe('not_comparable');
    expect(judged({}, { estimates: { outcomes: 50, unseen: 50 } }).verdict).toBe('not_comparable');
    const guessed = judged({ cost_usd: 5 }, { comparability: { reproduced: 1, known: 0.49, comparable: true } });
    expect(guessed).toMatchObject({ verdict: 'not_comparable', summary: expect.stringMatching(/only 49 % .* \(at least 50 % must be\)/) });
    expect(judged({}, { comparability: { reproduced: 1, known: 0.5, comparable: true } }).verdict).toBe('pass');
    const nobody = lane({ tasks: 0, completed: 0 });
    expect(judged({}, { lanes: { observed: nobody, baseline: nobody, candidate: nobody } }).reasons[0]).toMatch(/nothing to compare/);
  });
});
