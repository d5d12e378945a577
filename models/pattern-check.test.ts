import { describe, expect, it } from 'vitest';
import { accessConfigSchema, pricesConfigSchema, routingConfigSchema, serversSchema } from '../schemas/index.js';
import { unmatchedModels } from './pattern-check.js';

const { models } = serversSchema.parse({
  version: 1,
  models: [
    { id: 'ollama-small', runner: 'ollama', tiers: ['small'], model: 'qwen:1b' },
    { id: 'cloud', runner: 'openai', provider: 'azure', tiers: ['large'], model: 'gpt-4.1', base_url: 'https://x.example/v1' },
  ],
});
const told = (parts: Parameters<typeof unmatchedModels>[0]) =>
  unmatchedModels(parts, models).map(({ path, message, grave }) => [path.join('.'), message, grave]);
const rules = (...all: object[]) => ({
  routing: routingConfigSchema.parse({ rules: all.map((rule, i) => ({ name: `r${i}`, ...rule })) }),
});
const WATCH = { gpu_above: 0.8 };

describe('patterns that match no model', () => {
  it('are not told of where all match', () => {
    expect(
      told({
        ...rules({ to: ['cloud', 'ollama-*'], watch: { ...WATCH, models: ['*'] }, strict: true }),
        access: accessConfigSchema.parse({ allow: ['*-small', 'cl*d'], block: ['cloud'], projects: { p: { allow: ['cloud'] } } }),
        prices: pricesConfigSchema.parse({
          version: 'v',
          models: ['ollama-small', 'qwen:1b', 'gpt-4.1'].map((model) => ({ model, input_per_mtok: 1, output_per_mtok: 1 })),
        }),
      }),
    ).toEqual([]);
  });

  it('in a rule are told by themselves, with what follows where none of a list matches', () => {
    expect(told(rules({ to: ['cloud', 'clout'] }, { to: ['a', 'b*'] }, { to: ['cloud'], watch: { ...WATCH, models: ['gpu-*'] } }))).toEqual(
      [
        ['routing.rules.0.to.1', '"clout" matches no model of servers.yaml', false],
        ['routing.rules.1.to', '"a", "b*" match no model of servers.yaml, so the rule "r1" moves nothing', false],
        ['routing.rules.2.watch.models', '"gpu-*" matches no model of servers.yaml, so the rule "r2" never holds', false],
      ],
    );
  });

  it('of a strict rule leave no model, which is grave and told first; one of several does not', () => {
    expect(told(rules({ to: ['x'] }, { to: ['clout'], strict: true }, { to: ['cloud', 'y'], strict: true }))).toEqual([
      [
        'routing.rules.1.to',
        'no model may answer: "clout" matches no model of servers.yaml, and the rule "r1" is strict, so what the rule holds for is refused',
        true,
      ],
      ['routing.rules.0.to', '"x" matches no model of servers.yaml, so the rule "r0" moves nothing', false],
      ['routing.rules.2.to.1', '"y" matches no model of servers.yaml', false],
    ]);
    const [[, message]] = told(rules({ to: ['x'], strict: true, watch: { ...WATCH, models: ['cloud'] } })) as [[string, string]];
    expect(message).toContain('so what the rule moves is refused');
  });

  it('in access lists are told, gravely where nothing is allowed', () => {
    const access = accessConfigSchema.parse({ block: ['gone'], projects: { p: { allow: ['x'] }, q: { allow: ['cloud', 'x'] } } });
    expect(told({ access })).toEqual([
      [
        'access.projects.p.allow',
        'no model may answer: "x" matches no model of servers.yaml, and only those are allowed in project "p"',
        true,
      ],
      ['access.block.0', '"gone" matches no model of servers.yaml', false],
      ['access.projects.q.allow.1', '"x" matches no model of servers.yaml', false],
    ]);
    expect(told({ access: accessConfigSchema.parse({ allow: ['x'] }) })).toMatchObject([['access.allow', expect.any(String), true]]);
  });

  it('in prices are names, of the provider that is named', () => {
    const entry = (model: string, provider?: string) => ({ model, provider, input_per_mtok: 1, output_per_mtok: 1 });
    const prices = pricesConfigSchema.parse({
      version: 'v',
      models: [entry('gpt-4'), entry('gpt-4.1', 'openai'), entry('gpt-4.1', 'azure'), entry('gpt-4', 'azure'), entry('qwen*')],
    });
    expect(told({ prices })).toEqual([
      ['prices.models.0.model', '"gpt-4" is neither the id of a model of servers.yaml nor what its server calls it', false],
      ['prices.models.1.provider', '"gpt-4.1" of provider "openai" is no model of servers.yaml; there it is of "azure"', false],
      ['prices.models.3.model', '"gpt-4" is neither the id of a model of servers.yaml nor what its server calls it', false],
      ['prices.models.4.model', '"qwen*" is neither the id of a model of servers.yaml nor what its server calls it', false],
    ]);
  });
});
