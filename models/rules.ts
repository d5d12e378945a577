// Rules of `routing.rules` applied: which of them hold for an ask now, and what they move where. Pure: what a rule remembers goes in and comes out.
//
// R1. A model is over a threshold when a feature is above it, and until it is below `back_below` of it: work does not flutter. What is not known is not over.
// R2. A rule without `watch` holds always. One with it holds while a watched model is over, and moves work away from those models only.
// R3. A model that errors or latency keep work away from is tried now and then, so that it can show that it is well again; not under a strict rule.
import type { Features, RoutingRule } from '../schemas/index.js';
import type { Asking } from './gateway.js';
import { matchesAny } from './pattern.js';

/** A model that work is kept away from gets one ask after so long without a call. */
export const TRIAL_AFTER_MS = 15_000;

/** A rule, with its patterns made ids of the models there are. */
export interface ReadyRule {
  readonly rule: RoutingRule;
  readonly watched: ReadonlySet<string>;
  readonly to: ReadonlySet<string>;
  /** It watches what only calls can tell. */
  readonly tries: boolean;
}

/** Which models are over which rule's threshold: ids by the name of the rule. Kept from one choice to the next. */
export type RuleState = ReadonlyMap<string, ReadonlySet<string>>;

/** What holds for one ask now. */
export interface HeldRule {
  readonly name: string;
  /** Work is moved away from these; undefined: from all that are not in `to`. */
  readonly from: ReadonlySet<string> | undefined;
  readonly to: ReadonlySet<string>;
  readonly strict: boolean;
  /** Models whose turn for a trial it is may be asked. */
  readonly tries: boolean;
}

/** What a rule needs to know of a model. */
export interface Watched {
  readonly id: string;
  readonly features: Features;
}

export const NO_RULES: readonly HeldRule[] = [];
const NOBODY: ReadonlySet<string> = new Set();

const named = (patterns: readonly string[], ids: readonly string[]): ReadonlySet<string> =>
  new Set(ids.filter((id) => matchesAny(patterns, id)));

export const readyRules = (rules: readonly RoutingRule[], ids: readonly string[]): readonly ReadyRule[] =>
  rules.map((rule) => ({
    rule,
    watched: named(rule.watch?.models ?? [], ids),
    to: named(rule.to, ids),
    tries: !rule.strict && (rule.watch?.errors_above !== undefined || rule.watch?.latency_above_ms !== undefined),
  }));

const isOver = (watch: NonNullable<RoutingRule['watch']>, wasOver: boolean, features: Features): boolean => {
  const above = (value: number | undefined, threshold: number | undefined): boolean =>
    value !== undefined && threshold !== undefined && (wasOver ? value >= threshold * watch.back_below && value > 0 : value > threshold);
  return (
    above(features.gpu_ratio, watch.gpu_above) ||
    above(features.error_rate, watch.errors_above) ||
    above(features.load, watch.load_above) ||
    above(features.latency_ms, watch.latency_above_ms)
  );
};

/** R1. The same state where nothing changed. */
export const nextState = (rules: readonly ReadyRule[], state: RuleState, models: readonly Watched[]): RuleState => {
  let next: Map<string, ReadonlySet<string>> | undefined;
  for (const { rule, watched } of rules) {
    if (rule.watch === undefined) continue;
    const before = state.get(rule.name) ?? NOBODY;
    let after: Set<string> | undefined;
    for (const { id, features } of models) {
      if (!watched.has(id)) continue;
      const wasOver = before.has(id);
      if (isOver(rule.watch, wasOver, features) === wasOver) continue;
      after ??= new Set(before);
      if (wasOver) after.delete(id);
      else after.add(id);
    }
    if (after === undefined) continue;
    next ??= new Map(state);
    next.set(rule.name, after);
  }
  return next ?? state;
};

const isFor = ({ for: whom }: RoutingRule, ask: Asking): boolean =>
  (whom.tiers === undefined || whom.tiers.includes(ask.tier)) &&
  (whom.domains === undefined || whom.domains.includes(ask.domain)) &&
  (whom.purposes === undefined || whom.purposes.includes(ask.purpose)) &&
  (whom.projects === undefined || (ask.project_id !== undefined && whom.projects.includes(ask.project_id)));

/** R2. In the order of the configuration. */
export const heldRules = (rules: readonly ReadyRule[], state: RuleState, ask: Asking): readonly HeldRule[] => {
  let held: HeldRule[] | undefined;
  for (const { rule, to, tries } of rules) {
    const from = rule.watch === undefined ? undefined : (state.get(rule.name) ?? NOBODY);
    if (from?.size === 0 || !isFor(rule, ask)) continue;
    held ??= [];
    held.push({ name: rule.name, from, to, strict: rule.strict, tries });
  }
  return held ?? NO_RULES;
};

/** R3. Does a rule that tries keep work away from this model? Then a call of it is a trial. */
export const isKeptAway = (rules: readonly ReadyRule[], state: RuleState, id: string): boolean =>
  rules.some(({ rule, tries }) => tries && state.get(rule.name)?.has(id) === true);

/** Is this model one that the rule moves work away from? */
export const movesFrom = ({ from, to }: HeldRule, id: string): boolean => !to.has(id) && (from === undefined || from.has(id));
