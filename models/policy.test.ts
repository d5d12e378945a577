import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accessConfigSchema, modelConfigSchema, routingConfigSchema } from '../schemas/index.js';
import { matchesAny } from './pattern.js';
import { carriedOver, defaultPolicy, type ModelPolicy, openPolicy } from './policy.js';
import { readyRules } from './rules.js';

const MODELS = ['ollama-small', 'ollama-large', 'openai'].map((id) => ({
  config: modelConfigSchema.parse({ id, runner: 'scripted', tiers: ['small'], model: 'name' }),
  provider: 'p',
}));
const policyOf = (over: Partial<ModelPolicy>): ModelPolicy => ({ version: 'v1', ...defaultPolicy(), ...over });
const allowed = (access: object, project?: string) => {
  const policy = openPolicy(() => policyOf({ access: accessConfigSchema.parse(access) }), defaultPolicy(), MODELS)();
  return MODELS.map(({ config }) => config.id).filter((id) => policy.isAllowed(id, project));
};

describe('a pattern', () => {
  it.each([
    ['ollama-*', 'ollama-small', true],
    ['ollama-*', 'my-ollama-small', false],
    ['*', 'anything', true],
    ['*small', 'ollama-small', true],
    ['o*-s*l', 'ollama-small', true],
    ['ab*ba', 'aba', false],
    ['a*b*c', 'a-b', false],
    ['openai', 'openai', true],
    ['openai', 'openai-2', false],
    ['a.c', 'abc', false],
  ])('%s and %s: %s', (pattern, id, matches) => expect(matchesAny([pattern], id)).toBe(matches));

  it('says what a regular expression of it would', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 });
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 6 }), text, (pattern, id) => {
        expect(matchesAny([pattern], id)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(id));
      }),
    );
  });
});

describe('access', () => {
  it('without lists is open', () => expect(allowed({})).toHaveLength(3));

  it('takes what is allowed and not blocked', () => {
    expect(allowed({ allow: ['ollama-*'] })).toEqual(['ollama-small', 'ollama-large']);
    expect(allowed({ block: ['ollama-*'] })).toEqual(['openai']);
    expect(allowed({ allow: ['*'], block: ['*-large'] })).toEqual(['ollama-small', 'openai']);
  });

  it('of a project holds beside the general one', () => {
    const access = { block: ['*-large'], projects: { secret: { allow: ['ollama-*'] }, cloud: { block: ['ollama-*'] } } };
    expect(allowed(access, 'secret')).toEqual(['ollama-small']);
    expect(allowed(access, 'cloud')).toEqual(['openai']);
    expect(allowed(access, 'other')).toEqual(['ollama-small', 'openai']);
    expect(allowed(access)).toEqual(['ollama-small', 'openai']);
  });
});

describe('what is confidential', () => {
  const remote = { config: modelConfigSchema.parse({ id: 'lab', runner: 'scripted', tiers: ['small'], node: 'edge-1' }), provider: 'p' };
  const seen = (access: object, project?: string) => {
    const policy = openPolicy(() => policyOf({ access: accessConfigSchema.parse(access) }), defaultPolicy(), [...MODELS, remote], 'core')();
    return [...MODELS, remote].map(({ config }) => config.id).filter((id) => policy.maySeeConfidential(id, project));
  };

  it('may be seen on every node where no policy names some', () => expect(seen({})).toHaveLength(4));

  it('is seen on the nodes that the policy names only, a model without a node being where it is asked', () => {
    expect(seen({ confidential_nodes: ['edge-1'] })).toEqual(['lab']);
    expect(seen({ confidential_nodes: ['core'] })).toEqual(['ollama-small', 'ollama-large', 'openai']);
    expect(seen({ confidential_nodes: [] })).toEqual([]);
  });

  it('of a project is seen where the project says', () => {
    const access = { confidential_nodes: ['core'], projects: { secret: { confidential_nodes: ['edge-1'] }, other: {} } };
    expect(seen(access, 'secret')).toEqual(['lab']);
    expect(seen(access, 'other')).toEqual(['ollama-small', 'ollama-large', 'openai']);
  });
});

describe('a policy', () => {
  it('is read each time and made ready once for the same parts', () => {
    let now = policyOf({});
    const policy = openPolicy(() => now, defaultPolicy(), MODELS);
    const first = policy();
    expect(policy()).toBe(first);
    now = { ...now };
    expect(policy()).toBe(first);
    now = policyOf({ version: 'v2', prices: { version: '1', models: [{ model: 'name', input_per_mtok: 2, output_per_mtok: 4 }] } });
    expect(policy()).toMatchObject({ version: 'v2' });
    expect(policy().priceOf('openai')).toMatchObject({ version: '1', input_per_mtok: 2 });
    expect(first.priceOf('openai')).toBeUndefined();
  });

  it('that changes leaves rules what they remember, as long as they watch the model', () => {
    const rule = { name: 'busy', watch: { models: ['ollama-*'], gpu_above: 0.8 }, to: ['openai'] };
    const rulesOf = (...rules: object[]) =>
      readyRules(routingConfigSchema.parse({ rules }).rules, ['ollama-small', 'ollama-large', 'openai']);
    const state = new Map([['busy', new Set(['ollama-small', 'ollama-large'])]]);
    expect(carriedOver(state, rulesOf(rule))).toEqual(state);
    expect(carriedOver(state, rulesOf({ ...rule, watch: { ...rule.watch, models: ['ollama-small'] } }))).toEqual(
      new Map([['busy', new Set(['ollama-small'])]]),
    );
    expect(carriedOver(state, rulesOf({ ...rule, name: 'other' }))).toEqual(new Map());
  });
});
