import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOMAINS, TIERS } from '../schemas/index.js';
import { type Candidate, choose, type Wish } from './choose.js';

const model = (id: string, over: Partial<Candidate> = {}): Candidate => ({
  id,
  tiers: ['small'],
  domains: [],
  preference: 100,
  fallback: false,
  availability: 'ready',
  load: 0,
  ...over,
});
const WISH: Wish = { tier: 'small', domain: 'code' };
const verdicts = (candidates: readonly Candidate[], wish: Wish = WISH) =>
  Object.fromEntries(choose(candidates, wish).candidates.map(({ id, verdict }) => [id, verdict]));

describe('choosing a model', () => {
  it('takes the smallest preference, then the least load, then the first', () => {
    expect(choose([model('a'), model('b', { preference: 1 })], WISH)).toMatchObject({ chosen: 'b', reason: 'score' });
    expect(choose([model('a', { load: 0.5 }), model('b', { load: 0.25 })], WISH)).toMatchObject({ chosen: 'b', reason: 'score' });
    expect(choose([model('a'), model('b')], WISH)).toMatchObject({ chosen: 'a', reason: 'order' });
    expect(choose([model('a')], WISH)).toMatchObject({ chosen: 'a', reason: 'only_candidate' });
  });

  it('keeps to the asked tier, then goes up, then down, nearest first', () => {
    const [s, m, l] = [model('s'), model('m', { tiers: ['medium'] }), model('l', { tiers: ['large'] })];
    const chosen = (tier: Wish['tier'], ...models: Candidate[]) => choose(models, { ...WISH, tier }).chosen;
    expect(chosen('small', s, m, l)).toBe('s');
    expect(chosen('small', m, l)).toBe('m');
    expect(chosen('small', l)).toBe('l');
    expect(chosen('medium', s, l)).toBe('l');
    expect(chosen('medium', s)).toBe('s');
    expect(chosen('large', s, m)).toBe('m');
  });

  it('never stretches a list of domains', () => {
    expect(choose([model('a', { domains: ['docs'] })], WISH)).toMatchObject({
      reason: 'no_candidate',
      candidates: [{ verdict: 'other_domain' }],
    });
    expect(choose([model('a', { domains: ['docs', 'code'] })], WISH).chosen).toBe('a');
  });

  it('gives a named model or none, whatever its tier and domain', () => {
    const named = { ...WISH, model: 'b' };
    expect(choose([model('a'), model('b', { tiers: ['large'], domains: ['docs'], preference: 900 })], named)).toMatchObject({
      chosen: 'b',
      reason: 'named',
    });
    expect(choose([model('a'), model('b', { availability: 'down' })], named)).not.toHaveProperty('chosen');
    expect(choose([model('a')], named).reason).toBe('unknown_model');
  });

  it('uses a fallback only where no other model lives', () => {
    const fallback = model('f', { fallback: true, preference: 0 });
    expect(verdicts([fallback, model('a')])).toEqual({ f: 'fallback_not_needed', a: 'chosen' });
    expect(choose([fallback, model('a', { tiers: ['large'] })], WISH).chosen).toBe('a');
    for (const availability of ['down', 'cooling', 'failed'] as const)
      expect(choose([fallback, model('a', { availability })], WISH)).toMatchObject({ chosen: 'f', reason: 'fallback' });
    for (const availability of ['waiting', 'declined'] as const)
      expect(choose([fallback, model('a', { availability })], WISH)).not.toHaveProperty('chosen');
    expect(choose([fallback, model('a', { availability: 'waiting', domains: ['docs'] })], WISH).chosen).toBe('f');
  });

  it('holds for any set of models: ready, in the domain, none better, and the same whatever the order', () => {
    const candidates = fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
        tiers: fc.uniqueArray(fc.constantFrom(...TIERS), { minLength: 1 }),
        domains: fc.uniqueArray(fc.constantFrom(...DOMAINS), { maxLength: 3 }),
        preference: fc.integer({ min: 0, max: 2 }),
        fallback: fc.boolean(),
        availability: fc.constantFrom('ready', 'ready', 'down', 'cooling', 'waiting', 'failed', 'declined') as fc.Arbitrary<
          Candidate['availability']
        >,
        load: fc.integer({ min: 0, max: 3 }),
      }),
      { selector: ({ id }) => id },
    );
    fc.assert(
      fc.property(candidates, fc.constantFrom(...TIERS), fc.constantFrom(...DOMAINS), (models, tier, domain) => {
        const decision = choose(models, { tier, domain });
        const serves = (m: Candidate) => m.domains.length === 0 || m.domains.includes(domain);
        const possible = models.filter((m) => m.availability === 'ready' && serves(m));
        const lives = models.some((m) => !m.fallback && serves(m) && ['ready', 'waiting', 'declined'].includes(m.availability));
        const allowed = possible.filter((m) => !m.fallback || !lives);
        expect(decision.chosen !== undefined).toBe(allowed.length > 0);
        expect(decision.candidates).toHaveLength(models.length);
        expect(decision.candidates.filter(({ verdict }) => verdict === 'chosen')).toHaveLength(decision.chosen === undefined ? 0 : 1);
        if (decision.chosen === undefined) return;
        const best = allowed.find(({ id }) => id === decision.chosen);
        expect(best).toBeDefined();
        const rank = (id: string) => {
          const {
            tier_distance,
            preference,
            features: { load },
          } = decision.candidates.find((c) => c.id === id)!;
          return tier_distance * 100 + preference * 10 + load;
        };
        for (const { id } of allowed) expect(rank(decision.chosen)).toBeLessThanOrEqual(rank(id));
        expect(best!.tiers.includes(tier)).toBe(allowed.some((m) => m.tiers.includes(tier)));
        const turned = choose([...models].reverse(), { tier, domain });
        expect(rank(turned.chosen!)).toBe(rank(decision.chosen));
      }),
    );
  });
});
