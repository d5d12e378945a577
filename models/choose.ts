// Which model answers: pure, and it says why.
//
// C1. An ask that names a model gets that one or none.
// C2. A model that is down, cooling down, asked us to wait, or was tried for this ask is not chosen; a domain list is never stretched.
// C3. The asked tier first, then the next higher ones, then the lower ones, nearest first; then the smallest preference; then the least
//     load relative to concurrency; then the order of servers.yaml.
// C4. A fallback is chosen only where no other model lives. One that asked to wait, is full, or refused this ask lives: it is not
//     replaced by a fallback, whose answer may be a placeholder.
import { type Decision, type Domain, type ScoredCandidate, TIERS, type Tier } from '../schemas/index.js';

/**
 * `ready`; `down`: the last probe failed; `cooling`: failed in a row; `waiting`: asked to wait, or its queue is full; `failed`: tried for this
 * ask and failed; `declined`: tried for this ask, and it answered that it will not (overloaded, refused).
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
  /** Calls running and queued, divided by the calls it can run at a time. */
  readonly load: number;
}

export interface Wish {
  readonly tier: Tier;
  readonly domain: Domain;
  readonly model?: string;
}

/** For each asked tier the tiers in the order they stand in for it. */
const STANDS_IN: Readonly<Record<Tier, readonly Tier[]>> = Object.fromEntries(
  TIERS.map((tier, i) => [tier, [tier, ...TIERS.slice(i + 1), ...TIERS.slice(0, i).reverse()]]),
) as Record<Tier, Tier[]>;

const distanceOf = (asked: Tier, served: readonly Tier[]): number => STANDS_IN[asked].findIndex((tier) => served.includes(tier));

interface Ranked {
  readonly candidate: Candidate;
  readonly tier_distance: number;
  verdict: ScoredCandidate['verdict'];
}

const verdictOf = (candidate: Candidate, wish: Wish): ScoredCandidate['verdict'] => {
  if (wish.model !== undefined) return candidate.id === wish.model ? candidate.availability : 'other_model';
  if (candidate.domains.length > 0 && !candidate.domains.includes(wish.domain)) return 'other_domain';
  return candidate.availability;
};

const CRITERIA = ['tier', 'preference', 'load'] as const;
const scoreOf = (ranked: Ranked, criterion: (typeof CRITERIA)[number]): number =>
  criterion === 'tier' ? ranked.tier_distance : ranked.candidate[criterion];

const better = (a: Ranked, b: Ranked): boolean => {
  for (const criterion of CRITERIA) {
    const difference = scoreOf(a, criterion) - scoreOf(b, criterion);
    if (difference !== 0) return difference < 0;
  }
  return false;
};

const LIVES: ReadonlySet<ScoredCandidate['verdict']> = new Set(['ready', 'waiting', 'declined']);

/** The criterion that put the best before the last rival that was level until then. */
const decider = (best: Ranked, others: readonly Ranked[]): Decision['reason'] => {
  let rivals = others;
  for (const criterion of CRITERIA) {
    rivals = rivals.filter((rival) => scoreOf(rival, criterion) === scoreOf(best, criterion));
    if (rivals.length === 0) return criterion === 'tier' ? 'tier' : 'score';
  }
  return 'order';
};

const reasonOf = (best: Ranked, possible: readonly Ranked[], wish: Wish): Decision['reason'] => {
  if (wish.model !== undefined) return 'named';
  if (best.candidate.fallback) return 'fallback';
  if (possible.length === 1) return 'only_candidate';
  return decider(
    best,
    possible.filter((ranked) => ranked !== best),
  );
};

/** Candidates in the order of servers.yaml. */
export const choose = (candidates: readonly Candidate[], wish: Wish): Decision => {
  const all = candidates.map(
    (candidate): Ranked => ({
      candidate,
      tier_distance: distanceOf(wish.tier, candidate.tiers),
      verdict: verdictOf(candidate, wish),
    }),
  );
  if (wish.model === undefined && all.some(({ candidate, verdict }) => !candidate.fallback && LIVES.has(verdict)))
    for (const ranked of all) if (ranked.candidate.fallback && ranked.verdict === 'ready') ranked.verdict = 'fallback_not_needed';

  const possible = all.filter(({ verdict }) => verdict === 'ready');
  let best: Ranked | undefined;
  for (const ranked of possible) {
    ranked.verdict = 'outranked';
    if (best === undefined || better(ranked, best)) best = ranked;
  }
  if (best !== undefined) best.verdict = 'chosen';
  const scored = all.map(({ candidate, tier_distance, verdict }) => ({
    id: candidate.id,
    verdict,
    tier_distance,
    preference: candidate.preference,
    features: { load: candidate.load },
    score: candidate.preference + candidate.load,
    parts: { preference: candidate.preference, load: candidate.load },
  }));
  if (best !== undefined) return { chosen: best.candidate.id, reason: reasonOf(best, possible, wish), candidates: scored };
  const unknown = wish.model !== undefined && !candidates.some(({ id }) => id === wish.model);
  return { reason: unknown ? 'unknown_model' : 'no_candidate', candidates: scored };
};
