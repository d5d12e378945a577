import { describe, expect, it } from 'vitest';
import { modelConfigSchema } from '../../schemas/index.js';
import { modelIds, wishOf } from './model-names.js';

const models = [
  { id: 'little', tiers: ['small'] },
  { id: 'wide', tiers: ['medium', 'large'] },
  { id: 'small', tiers: ['large'] },
].map((model) => modelConfigSchema.parse({ runner: 'scripted', ...model }));

const EASY = 'Write add(a, b) in Python.';
const HARD =
  'Design a distributed, fault tolerant and secure platform for payments: 1. a concurrent scheduler with locks and transactions\n2. a Kubernetes deployment\n3. encryption and authentication\n4. high performance caching with low latency\n5. migrate the whole system, the entire architecture across all services, then benchmark it';

describe('the name of a model', () => {
  it('auto asks for the tier that the words call for, without asking a model', () => {
    expect(wishOf('auto', [EASY], models)).toMatchObject({ tier: 'small', domain: 'code' });
    expect(wishOf('auto', [HARD], models).tier).not.toBe('small');
    expect(wishOf('auto', [], models)).toEqual({ tier: 'small', domain: 'general' });
  });

  it('auto keeps the highest tier of a conversation', () => {
    expect(wishOf('auto', [HARD, 'go on', 'thanks'], models).tier).toBe(wishOf('auto', [HARD], models).tier);
  });

  it('auto looks at the newest messages only', () => {
    expect(wishOf('auto', [HARD, ...Array.from({ length: 16 }, () => 'go on')], models).tier).toBe('small');
  });

  it('is a tier, by its own name or as cheap and best', () => {
    const tiers = ['auto:cheap', 'auto:best', 'small', 'medium', 'large'].map((name) => wishOf(name, [HARD], models));
    expect(tiers.map(({ tier, model }) => [tier, model])).toEqual([
      ['small', undefined],
      ['large', undefined],
      ['small', undefined],
      ['medium', undefined],
      ['large', undefined],
    ]);
  });

  it('is a model, in a tier that it serves', () => {
    expect(wishOf('little', [HARD], models)).toMatchObject({ model: 'little', tier: 'small' });
    expect(wishOf('wide', [EASY], models)).toMatchObject({ model: 'wide', tier: 'medium' });
  });

  it('is refused where nothing has it, with a list of what there is; names go before ids', () => {
    expect(modelIds(models)).toEqual(['auto', 'auto:cheap', 'auto:best', 'small', 'medium', 'large', 'little', 'wide']);
    for (const name of ['gpt-5', 'constructor', '__proto__', 'toString'])
      expect(() => wishOf(name, [], models)).toThrow(
        `there is no model "${name}"; there are: auto, auto:cheap, auto:best, small, medium, large, little, wide`,
      );
  });
});
