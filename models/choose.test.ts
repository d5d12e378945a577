import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOMAINS, decisionSchema, type Features, MOST_RECORDED, TIERS } from '../schemas/index.js';
import { type Candidate, choose, DEFAULT_TERMS, type Wish } from './choose.js';
import type { HeldRule } from './rules.js';

const model = (id: string, over: Partial<Candidate> = {}): Candidate => ({
  id,
  tiers: ['small'],
  domains: [],
  preference: 100,
  fallback: false,
  availability: 'ready',
  features: { load: 0 },
  allowed: true,
  able: true,
  trial: false,
  ...over,
});
const WISH: Wish = { tier: 'small', domain: 'code' };
const verdicts = (candidates: readonly Candidate[], wish: Wish = WISH) =>
  Object.fromEntries(choose(candidates, wish).candidates.map(({ id, verdict }) => [id, verdict]));

describe('choosing a model', () => {
  it('takes the smallest preference, then the least load, then the first', () => {
    expect(choose([model('a'), model('b', { preference: 1 })], WISH)).toMatchObject({ chosen: 'b', reason: 'score' });
    expect(choose([model('a', { features: { load: 0.5 } }), model('b', { features: { load: 0.25 } })], WISH)).toMatchObject({
      chosen: 'b',
      reason: 'score',
    });
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

  it('weighs what is known: each part is on record, and a smaller preference wins unless the rest is worth the difference', () => {
    const busy = model('busy', {
      preference: 10,
      features: { load: 1, error_rate: 0.5, latency_ms: 2_000, loaded: false, gpu_ratio: 0.5, cost_per_mtok: 3 },
    });
    const spare = model('spare', { preference: 20 });
    const decision = choose([busy, spare], WISH);
    expect(decision).toMatchObject({ chosen: 'spare', reason: 'score' });
    expect(decision.candidates[0]).toMatchObject({
      score: 92,
      parts: { preference: 10, load: 20, errors: 50, latency: 2, cold: 5, gpu: 5, cost: 0 },
      features: busy.features,
    });
    expect(decision.candidates[1]).toMatchObject({ score: 20, parts: { preference: 20, load: 0 } });
    expect(choose([model('busy', { preference: 10, features: { load: 0.4 } }), spare], WISH).chosen).toBe('busy');
  });

  it('lets access and confidentiality keep a model away, a named one too', () => {
    const barred = model('a', { allowed: false, preference: 0 });
    expect(verdicts([barred, model('b')])).toEqual({ a: 'not_allowed', b: 'chosen' });
    expect(choose([barred], WISH)).toMatchObject({ reason: 'not_allowed' });
    expect(choose([barred, model('b')], { ...WISH, model: 'a' })).toMatchObject({ reason: 'not_allowed' });
    expect(choose([barred, model('b', { availability: 'down' })], WISH).reason).toBe('no_candidate');
    expect(choose([barred, model('f', { fallback: true })], WISH)).toMatchObject({ chosen: 'f', reason: 'fallback' });
  });

  it('passes over a model that cannot do it, and lets no fallback stand in for it', () => {
    expect(verdicts([model('a', { able: false }), model('b')])).toEqual({ a: 'not_able', b: 'chosen' });
    expect(choose([model('a', { able: false }), model('f', { fallback: true })], WISH)).not.toHaveProperty('chosen');
  });

  it('records so many candidates and no more, the best of them in their order', () => {
    const many = Array.from({ length: MOST_RECORDED + 10 }, (_, i) =>
      model(`m${i}`, { preference: 1_000 - i, ...(i < 5 ? { availability: 'down' } : {}) }),
    );
    const { chosen, candidates } = choose(many, WISH);
    expect(chosen).toBe('m41');
    expect(candidates.map(({ id }) => id)).toEqual(Array.from({ length: MOST_RECORDED }, (_, i) => `m${i + 10}`));
  });
});

describe('a rule', () => {
  const rule = (over: Partial<HeldRule>): HeldRule => ({ name: 'r', from: undefined, to: new Set(), strict: false, tries: false, ...over });
  const by = (rules: readonly HeldRule[], ...models: Candidate[]) => choose(models, WISH, { ...DEFAULT_TERMS, rules });
  const [a, b, cloud] = [model('a', { preference: 1 }), model('b'), model('cloud', { tiers: ['large'], preference: 900 })];
  const toCloud = rule({ name: 'to-cloud', from: new Set(['a']), to: new Set(['cloud']) });

  it('moves work from a model that is over its threshold to where it says, whatever the tier', () => {
    const decision = by([toCloud], a, b, cloud);
    expect(decision).toMatchObject({ chosen: 'cloud', reason: 'rule', rules: ['to-cloud'] });
    expect(decision.candidates.map(({ verdict }) => verdict)).toEqual(['avoided', 'outranked', 'chosen']);
  });

  it('has no say where the work would not go to that model', () => {
    const decision = by([toCloud], model('a', { preference: 200 }), b, cloud);
    expect(decision).toMatchObject({ chosen: 'b', reason: 'score' });
    expect(decision).not.toHaveProperty('rules');
  });

  it('leaves the work where it is when nobody can take it, unless it is strict', () => {
    const down = model('cloud', { availability: 'down' });
    expect(by([toCloud], a, down)).toMatchObject({ chosen: 'a', reason: 'only_candidate' });
    const strict = by([{ ...toCloud, strict: true }], a, down);
    expect(strict).toMatchObject({
      reason: 'no_candidate',
      rules: ['to-cloud'],
      candidates: [{ verdict: 'not_allowed' }, { verdict: 'down' }],
    });
    expect(by([{ ...toCloud, strict: true }], a)).toMatchObject({ reason: 'no_candidate' });
    expect(by([{ ...toCloud, strict: true }], a, model('f', { fallback: true }))).not.toHaveProperty('chosen');
    expect(by([{ ...toCloud, strict: true, from: undefined }], a, model('f', { fallback: true }))).toMatchObject({ reason: 'not_allowed' });
    expect(by([{ ...toCloud, strict: true }], a, b, cloud)).toMatchObject({ chosen: 'b', reason: 'rule', rules: ['to-cloud'] });
  });

  it('that watches nothing prefers its models always, and under strictness allows no others, not even by name', () => {
    const always = rule({ to: new Set(['b', 'cloud']) });
    expect(by([always], a, b, cloud)).toMatchObject({ chosen: 'b', reason: 'rule', rules: ['r'] });
    expect(by([always], a)).toMatchObject({ chosen: 'a' });
    const terms = { ...DEFAULT_TERMS, rules: [{ ...always, strict: true }] };
    expect(choose([a, b], { ...WISH, model: 'a' }, terms)).toMatchObject({ reason: 'not_allowed' });
    expect(choose([a, b], { ...WISH, model: 'a' }, { ...terms, rules: [always] })).toMatchObject({ chosen: 'a', reason: 'named' });
  });

  it('takes over where another one left, and two of them do not turn in a circle', () => {
    const onwards = rule({ name: 'onwards', from: new Set(['cloud']), to: new Set(['b']) });
    expect(by([toCloud, onwards], a, b, cloud)).toMatchObject({ chosen: 'b', rules: ['to-cloud', 'onwards'] });
    const back = rule({ name: 'back', from: new Set(['cloud']), to: new Set(['a']) });
    expect(by([toCloud, back], a, cloud)).toMatchObject({ chosen: 'cloud', rules: ['to-cloud'] });
  });

  it('lets a model be tried whose turn it is', () => {
    const tries = { ...toCloud, tries: true };
    expect(by([tries], { ...a, trial: true }, cloud)).toMatchObject({ chosen: 'a', reason: 'tier' });
    expect(by([toCloud], { ...a, trial: true }, cloud)).toMatchObject({ chosen: 'cloud' });
  });

  it('moves no work to a fallback while another model lives', () => {
    expect(by([toCloud], a, model('cloud', { fallback: true }))).toMatchObject({ chosen: 'a' });
  });
});

describe('for any models, rules and asks', () => {
  const IDS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
  const ids = fc.subarray([...IDS]).map((some) => new Set<string>(some));
  const unit = fc.integer({ min: 0, max: 4 }).map((n) => n / 4);
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const features = fc
    .record({
      load: unit,
      error_rate: maybe(unit),
      latency_ms: maybe(fc.nat(3_000)),
      loaded: maybe(fc.boolean()),
      gpu_ratio: maybe(unit),
      cost_per_mtok: maybe(unit),
    })
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Features);
  const candidates = fc.uniqueArray(
    fc.record({
      id: fc.constantFrom(...IDS),
      tiers: fc.uniqueArray(fc.constantFrom(...TIERS), { minLength: 1 }),
      domains: fc.uniqueArray(fc.constantFrom(...DOMAINS), { maxLength: 3 }),
      preference: fc.integer({ min: 0, max: 40 }),
      fallback: fc.boolean(),
      availability: fc.constantFrom<Candidate['availability']>(
        'ready',
        'ready',
        'ready',
        'down',
        'cooling',
        'waiting',
        'failed',
        'declined',
      ),
      features,
      allowed: fc.integer({ max: 3, min: 0 }).map((n) => n > 0),
      able: fc.integer({ max: 3, min: 0 }).map((n) => n > 0),
      trial: fc.boolean(),
    }),
    { selector: ({ id }) => id },
  );
  const rules = fc.array(
    fc.record({ name: fc.constantFrom('r', 's'), from: maybe(ids), to: ids, strict: fc.boolean(), tries: fc.boolean() }),
    { maxLength: 3 },
  );
  const wish = fc
    .record({ tier: fc.constantFrom(...TIERS), domain: fc.constantFrom(...DOMAINS), model: maybe(fc.constantFrom(...IDS)) })
    .map(({ tier, domain, model: name }): Wish => (name === undefined ? { tier, domain } : { tier, domain, model: name }));
  const strictly = (all: readonly HeldRule[], id: string) =>
    all.some(({ strict, from, to }) => strict && !to.has(id) && (from === undefined || from.has(id)));
  const serves = (m: Candidate, { domain, model: name }: Wish) =>
    name === undefined ? m.domains.length === 0 || m.domains.includes(domain) : m.id === name;

  it('what is chosen is ready, allowed, able, in the domain and the named one; something is chosen where something may be', () => {
    fc.assert(
      fc.property(candidates, rules, wish, (models, held, asked) => {
        const decision = choose(models, asked, { ...DEFAULT_TERMS, rules: held });
        const may = (m: Candidate) => serves(m, asked) && m.allowed && !strictly(held, m.id);
        // What a strict rule bars only while it is over a threshold lives on.
        const always = held.filter(({ from }) => from === undefined);
        const lives = (m: Candidate) =>
          serves(m, asked) &&
          m.allowed &&
          !strictly(always, m.id) &&
          (!m.able || ['ready', 'waiting', 'declined'].includes(m.availability));
        const spared = asked.model === undefined && models.some((m) => !m.fallback && lives(m));
        const possible = models.filter((m) => may(m) && m.able && m.availability === 'ready' && !(spared && m.fallback));
        if (decision.chosen === undefined) expect(possible).toEqual([]);
        else expect(possible.map(({ id }) => id)).toContain(decision.chosen);
        expect(decision.candidates.filter(({ verdict }) => verdict === 'chosen').map(({ id }) => id)).toEqual(
          decision.chosen === undefined ? [] : [decision.chosen],
        );
        expect(decision.candidates.map(({ id }) => id)).toEqual(models.map(({ id }) => id));
        expect(decisionSchema.parse(decision)).toEqual(decision);
        for (const { score, parts } of decision.candidates)
          expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(score);
      }),
    );
  });

  it('without rules none is better than the chosen one: nearer in tier, then fewer points', () => {
    fc.assert(
      fc.property(candidates, wish, (models, asked) => {
        const decision = choose(models, asked);
        const best = decision.candidates.find(({ verdict }) => verdict === 'chosen');
        if (best === undefined) return;
        for (const other of decision.candidates.filter(({ verdict }) => verdict === 'outranked')) {
          expect(other.tier_distance).toBeGreaterThanOrEqual(best.tier_distance);
          if (other.tier_distance === best.tier_distance) expect(other.score).toBeGreaterThanOrEqual(best.score);
        }
      }),
    );
  });

  it('the order of the candidates decides nothing but ties', () => {
    fc.assert(
      fc.property(candidates, rules, wish, fc.infiniteStream(fc.nat()), (models, held, asked, keys) => {
        const terms = { ...DEFAULT_TERMS, rules: held };
        const level = (m: Candidate) => {
          const { tier_distance, score } = choose(models, asked, terms).candidates.find(({ id }) => id === m.id)!;
          return `${tier_distance} ${score}`;
        };
        fc.pre(new Set(models.map(level)).size === models.length);
        const order = new Map(models.map((m) => [m, keys.next().value]));
        const shuffled = [...models].sort((x, y) => order.get(x)! - order.get(y)!);
        const [one, other] = [choose(models, asked, terms), choose(shuffled, asked, terms)];
        const byId = (all: typeof one.candidates) => [...all].sort((x, y) => x.id.localeCompare(y.id));
        expect({ ...other, candidates: byId(other.candidates) }).toEqual({ ...one, candidates: byId(one.candidates) });
      }),
    );
  });
});
