// Which model answers: pure, total, and it says why.
//
// C1. An ask that names a model gets that one or none; access, confidentiality and strict rules hold for it too, the other rules do not.
// C2. A model that is down, cooling down, asked us to wait, or was tried for this ask is not chosen; a domain list is never stretched.
// C3. The asked tier first, then the next higher ones, then the lower ones, nearest first; then the smallest score; then the order of servers.yaml.
// C4. A fallback is chosen only where no other model lives. One that asked to wait, is full, refused this ask or cannot do it lives: it is not
//     replaced by a fallback, whose answer may be a placeholder. One that may not be used for this ask does not count, but one that is over the threshold
//     of a strict rule does: it may be used again soon.
// C5. A rule speaks where the work would go to a model that it moves work away from: then the work goes to the best of `to`, whatever its tier, if one is
//     ready, and else stays; under a strict rule it never stays. Rules speak in their order, each once: they cannot turn in a circle.
//
// A score is the model's `preference` as it stands, and for each feature that is known its weight times its value. So a smaller preference wins unless what
// else is known is worth the difference: with the weight 20 of `load`, one full load more is worth 20 points of preference.
import {
  type Decision,
  type Domain,
  type Features,
  MOST_RECORDED,
  type ScoredCandidate,
  TIERS,
  type Tier,
  type Weights,
  weightsSchema,
} from '../schemas/index.js';
import { type HeldRule, movesFrom, NO_RULES } from './rules.js';

/**
 * `ready`; `down`: the last probe failed; `cooling`: failed in a row; `waiting`: asked to wait, its queue is full, or it is being asked for this very ask;
 * `failed`: tried for this ask and failed; `declined`: tried for this ask, and it answered that it will not (overloaded, refused, too long).
 */
export type Availability = 'ready' | 'down' | 'cooling' | 'waiting' | 'failed' | 'declined';

export interface Candidate {
  readonly id: string;
  readonly tiers: readonly Tier[];
  /** Empty: every domain. */
  readonly domains: readonly Domain[];
  readonly preference: number;
  readonly fallback: boolean;
  readonly availability: Availability;
  readonly features: Features;
  /** False: the access list or confidentiality keeps it away from this ask. */
  readonly allowed: boolean;
  /** False: it cannot do what is asked. */
  readonly able: boolean;
  /** It was not called for so long that rules which try their models again let it be asked. */
  readonly trial: boolean;
}

export interface Wish {
  readonly tier: Tier;
  readonly domain: Domain;
  readonly model?: string;
}

/** What a choice is made by. */
export interface Terms {
  readonly weights: Weights;
  /** Those that hold for this ask, in their order. */
  readonly rules: readonly HeldRule[];
  readonly config_version?: string;
}

export const DEFAULT_TERMS: Terms = { weights: weightsSchema.parse({}), rules: NO_RULES };

/** For each asked tier the tiers in the order they stand in for it. */
const STANDS_IN: Readonly<Record<Tier, readonly Tier[]>> = Object.fromEntries(
  TIERS.map((tier, i) => [tier, [tier, ...TIERS.slice(i + 1), ...TIERS.slice(0, i).reverse()]]),
) as Record<Tier, Tier[]>;

const distanceOf = (asked: Tier, served: readonly Tier[]): number => {
  const order = STANDS_IN[asked];
  for (let i = 0; i < order.length; i++) if (served.includes(order[i]!)) return i;
  return order.length;
};

interface Ranked {
  readonly candidate: Candidate;
  /** What is recorded of it; its verdict is found step by step. */
  readonly scored: ScoredCandidate;
  /** A strict rule keeps it away only while it is over a threshold. */
  barredForNow: boolean;
}

const verdictOf = (candidate: Candidate, wish: Wish): ScoredCandidate['verdict'] => {
  if (wish.model !== undefined) {
    if (candidate.id !== wish.model) return 'other_model';
  } else if (candidate.domains.length > 0 && !candidate.domains.includes(wish.domain)) return 'other_domain';
  if (!candidate.allowed) return 'not_allowed';
  return candidate.able ? candidate.availability : 'not_able';
};

/** Filled field by field: this runs for every model at every ask. */
const scoredOf = (candidate: Candidate, wish: Wish, weights: Weights): ScoredCandidate => {
  const { features, preference } = candidate;
  const load = weights.load * features.load;
  const parts: Record<string, number> = { preference, load };
  let score = preference + load;
  if (features.error_rate !== undefined) score += parts.errors = weights.errors * features.error_rate;
  if (features.latency_ms !== undefined) score += parts.latency = (weights.latency * features.latency_ms) / 1_000;
  if (features.loaded !== undefined) score += parts.cold = features.loaded ? 0 : weights.cold;
  if (features.gpu_ratio !== undefined) score += parts.gpu = weights.gpu * features.gpu_ratio;
  if (features.cost_per_mtok !== undefined) score += parts.cost = weights.cost * features.cost_per_mtok;
  const tier_distance = distanceOf(wish.tier, candidate.tiers);
  return { id: candidate.id, verdict: verdictOf(candidate, wish), tier_distance, preference, features, score, parts };
};

/** C3. */
const better = ({ scored: a }: Ranked, { scored: b }: Ranked): boolean =>
  a.tier_distance === b.tier_distance ? a.score < b.score : a.tier_distance < b.tier_distance;

const bestOf = (all: readonly Ranked[]): Ranked | undefined => {
  let best: Ranked | undefined;
  for (const ranked of all) if (best === undefined || better(ranked, best)) best = ranked;
  return best;
};

const LIVES: ReadonlySet<ScoredCandidate['verdict']> = new Set(['ready', 'waiting', 'declined', 'not_able']);
/** Those whose verdict may be another one soon. */
const FOR_NOW: ReadonlySet<ScoredCandidate['verdict']> = new Set(['down', 'cooling', 'waiting', 'failed', 'declined']);

/** C4. */
const spareFallbacks = (all: readonly Ranked[]): void => {
  if (!all.some(({ candidate, scored, barredForNow }) => !candidate.fallback && (barredForNow || LIVES.has(scored.verdict)))) return;
  for (const { candidate, scored } of all) if (candidate.fallback && scored.verdict === 'ready') scored.verdict = 'fallback_not_needed';
};

/** C5 of the strict rules. @returns those that were ready, and are out of the question by it */
const bar = (all: readonly Ranked[], rules: readonly HeldRule[], said: Set<string>): readonly Ranked[] => {
  const strict = rules.filter((rule) => rule.strict);
  const barred: Ranked[] = [];
  if (strict.length === 0) return barred;
  for (const ranked of all) {
    const { scored } = ranked;
    const lives = LIVES.has(scored.verdict);
    const by = lives || FOR_NOW.has(scored.verdict) ? strict.filter((rule) => movesFrom(rule, scored.id)) : [];
    if (by.length === 0) continue;
    if (scored.verdict === 'ready') barred.push(ranked);
    ranked.barredForNow = lives && by.every(({ from }) => from !== undefined);
    scored.verdict = 'not_allowed';
    for (const { name } of by) said.add(name);
  }
  return barred;
};

/** C5 of the other rules. @returns where the work goes */
const move = (ready: readonly Ranked[], start: Ranked, rules: readonly HeldRule[], said: Set<string>): Ranked => {
  let best = start;
  for (const rule of rules) {
    if (rule.strict || !movesFrom(rule, best.scored.id) || (rule.tries && best.candidate.trial)) continue;
    const to = bestOf(ready.filter(({ scored }) => scored.verdict === 'outranked' && rule.to.has(scored.id)));
    if (to === undefined) continue;
    for (const { scored } of ready) if (movesFrom(rule, scored.id)) scored.verdict = 'avoided';
    said.add(rule.name);
    best = to;
  }
  return best;
};

/** What put the best before the last rival that was level until then. */
const decider = (best: Ranked, possible: readonly Ranked[]): Decision['reason'] => {
  const level = possible.filter((rival) => rival !== best && rival.scored.tier_distance === best.scored.tier_distance);
  if (level.length === 0) return 'tier';
  return level.some(({ scored }) => scored.score === best.scored.score) ? 'order' : 'score';
};

/** The candidates that are recorded: all, in their order; of too many the best ones. */
const recorded = (all: readonly Ranked[]): ScoredCandidate[] => {
  const scored = all.map((ranked) => ranked.scored);
  if (scored.length <= MOST_RECORDED) return scored;
  const place = ({ verdict }: ScoredCandidate): number =>
    verdict === 'chosen' ? 0 : LIVES.has(verdict) || verdict === 'outranked' ? 1 : 2;
  const best = [...scored].sort((a, b) => place(a) - place(b) || a.tier_distance - b.tier_distance || a.score - b.score);
  const kept = new Set(best.slice(0, MOST_RECORDED));
  return scored.filter((one) => kept.has(one));
};

const reasonForNone = (all: readonly Ranked[], wish: Wish): Decision['reason'] => {
  if (wish.model !== undefined && !all.some(({ scored }) => scored.id === wish.model)) return 'unknown_model';
  const mayBeSoon = ({ scored, barredForNow }: Ranked): boolean =>
    barredForNow || FOR_NOW.has(scored.verdict) || scored.verdict === 'not_able';
  return all.some(({ scored }) => scored.verdict === 'not_allowed') && !all.some(mayBeSoon) ? 'not_allowed' : 'no_candidate';
};

/** Candidates in the order of servers.yaml. */
export const choose = (
  candidates: readonly Candidate[],
  wish: Wish,
  { weights, rules, config_version }: Terms = DEFAULT_TERMS,
): Decision => {
  const all: Ranked[] = [];
  for (const candidate of candidates) all.push({ candidate, scored: scoredOf(candidate, wish, weights), barredForNow: false });
  const said = new Set<string>();
  const barred = rules.length === 0 ? [] : bar(all, rules, said);
  if (wish.model === undefined) spareFallbacks(all);
  const possible = all.filter(({ scored }) => scored.verdict === 'ready');
  const first = bestOf(possible);
  const decision: Decision = { reason: 'no_candidate', candidates: [] };
  if (first === undefined) decision.reason = reasonForNone(all, wish);
  else {
    for (const { scored } of possible) scored.verdict = 'outranked';
    const best = wish.model === undefined && rules.length > 0 ? move(possible, first, rules, said) : first;
    best.scored.verdict = 'chosen';
    decision.chosen = best.scored.id;
    if (wish.model !== undefined) decision.reason = 'named';
    else if (best.candidate.fallback) decision.reason = 'fallback';
    else if (best !== first || barred.some((ranked) => better(ranked, best))) decision.reason = 'rule';
    else decision.reason = possible.length === 1 ? 'only_candidate' : decider(best, possible);
  }
  decision.candidates = recorded(all);
  if (said.size > 0) decision.rules = rules.filter(({ name }) => said.has(name)).map(({ name }) => name);
  if (config_version !== undefined) decision.config_version = config_version;
  return decision;
};
