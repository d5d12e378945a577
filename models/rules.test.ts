import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Features, type RoutingRule, routingRuleSchema } from '../schemas/index.js';
import type { Asking } from './gateway.js';
import { heldRules, isKeptAway, nextState, type RuleState, readyRules } from './rules.js';

const IDS = ['local-1', 'local-2', 'cloud'];
const rule = (over: Partial<RoutingRule>): RoutingRule =>
  routingRuleSchema.parse({ name: 'busy', watch: { models: ['local-*'], gpu_above: 0.8 }, to: ['cloud'], ...over });
const ASKING: Asking = { purpose: 'generate', tier: 'small', domain: 'code', project_id: 'p1' };
const EMPTY: RuleState = new Map();
const models = (features: Readonly<Record<string, Partial<Features>>>) => IDS.map((id) => ({ id, features: { load: 0, ...features[id] } }));
const over = (state: RuleState, name = 'busy') => [...(state.get(name) ?? [])];

describe('the state of a rule', () => {
  it('is over a threshold above it, and until it is below the part of it that is set', () => {
    const rules = readyRules([rule({})], IDS);
    let state = EMPTY;
    const at = (gpu_ratio: number | undefined) => {
      state = nextState(rules, state, models(gpu_ratio === undefined ? {} : { 'local-1': { gpu_ratio } }));
      return over(state);
    };
    expect([0.7, 0.8, 0.81, 0.7, 0.61, 0.59, 0.8, 0.9].map(at)).toEqual([
      [],
      [],
      ['local-1'],
      ['local-1'],
      ['local-1'],
      [],
      [],
      ['local-1'],
    ]);
    expect(at(undefined)).toEqual([]);
  });

  it.each([
    [{ errors_above: 0.1 }, { error_rate: 0.11 }, { error_rate: 0.07 }],
    [{ load_above: 2 }, { load: 2.5 }, { load: 1 }],
    [{ latency_above_ms: 1_000 }, { latency_ms: 1_001 }, { latency_ms: 700 }],
    [
      { gpu_above: 0.8, errors_above: 0.1 },
      { gpu_ratio: 0.1, error_rate: 0.2 },
      { gpu_ratio: 0.1, error_rate: 0 },
    ],
    [{ errors_above: 0 }, { error_rate: 0.01 }, { error_rate: 0 }],
  ])('by %j is over at %j and back at %j', (watch, high, low) => {
    const rules = readyRules([rule({ watch: routingRuleSchema.shape.watch.parse({ models: ['local-1'], ...watch }) })], IDS);
    const up = nextState(rules, EMPTY, models({ 'local-1': high }));
    expect(over(up)).toEqual(['local-1']);
    expect(over(nextState(rules, up, models({ 'local-1': low })))).toEqual([]);
  });

  it('watches the models of its patterns only, each by itself, and is the same object while nothing changes', () => {
    const rules = readyRules([rule({})], IDS);
    const all = models({ 'local-2': { gpu_ratio: 1 }, cloud: { gpu_ratio: 1 } });
    const state = nextState(rules, EMPTY, all);
    expect(over(state)).toEqual(['local-2']);
    expect(nextState(rules, state, all)).toBe(state);
    expect(nextState(rules, EMPTY, models({}))).toBe(EMPTY);
  });

  it('never flutters within the band, whatever comes', () => {
    const rules = readyRules([rule({})], IDS);
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.61, max: 0.8, noNaN: true }), { minLength: 1 }), fc.boolean(), (ratios, begin) => {
        let state: RuleState = begin ? new Map([['busy', new Set(['local-1'])]]) : EMPTY;
        for (const gpu_ratio of ratios) {
          state = nextState(rules, state, models({ 'local-1': { gpu_ratio } }));
          expect(over(state)).toEqual(begin ? ['local-1'] : []);
        }
      }),
    );
  });
});

describe('a rule holds', () => {
  const state: RuleState = new Map([['busy', new Set(['local-1'])]]);

  it('with a watch only while a watched model is over, and moves work from that model', () => {
    const rules = readyRules([rule({})], IDS);
    expect(heldRules(rules, EMPTY, ASKING)).toEqual([]);
    expect(heldRules(rules, state, ASKING)).toEqual([
      { name: 'busy', from: new Set(['local-1']), to: new Set(['cloud']), strict: false, tries: false },
    ]);
  });

  it('without a watch always', () => {
    const { watch: _watch, ...always } = rule({});
    expect(heldRules(readyRules([always], IDS), EMPTY, ASKING)).toMatchObject([{ name: 'busy', from: undefined }]);
  });

  it.each([
    [{ projects: ['p1'] }, true],
    [{ projects: ['p2'] }, false],
    [{ tiers: ['small', 'large'] }, true],
    [{ tiers: ['large'] }, false],
    [{ domains: ['code'], purposes: ['generate'] }, true],
    [{ domains: ['code'], purposes: ['chat'] }, false],
  ] as const)('for %j: %s', (whom, holds) => {
    const rules = readyRules([routingRuleSchema.parse({ ...rule({}), for: whom })], IDS);
    expect(heldRules(rules, state, ASKING)).toHaveLength(holds ? 1 : 0);
  });

  it('for projects not where nobody says whose the ask is', () => {
    const rules = readyRules([routingRuleSchema.parse({ ...rule({}), for: { projects: ['p1'] } })], IDS);
    const { project_id: _project, ...nobodys } = ASKING;
    expect(heldRules(rules, state, nobodys)).toEqual([]);
  });

  it('and tries the models that only calls can tell of, unless it is strict', () => {
    const watch = { models: ['local-*'], errors_above: 0.1 };
    const [tries, strict] = [
      rule({ watch: { ...watch, back_below: 0.75 } }),
      rule({ watch: { ...watch, back_below: 0.75 }, strict: true }),
    ];
    expect(heldRules(readyRules([tries], IDS), state, ASKING)[0]).toMatchObject({ tries: true });
    expect(heldRules(readyRules([strict], IDS), state, ASKING)[0]).toMatchObject({ tries: false });
    expect(isKeptAway(readyRules([tries], IDS), state, 'local-1')).toBe(true);
    expect(isKeptAway(readyRules([tries], IDS), state, 'local-2')).toBe(false);
    expect(isKeptAway(readyRules([strict], IDS), state, 'local-1')).toBe(false);
  });
});
