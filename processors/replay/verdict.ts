// What a replay says: pass, hold, or that the lanes cannot be compared; with the reasons in words. Pure.
import type { ReplayLane, ReplayReport } from '../../schemas/index.js';
import { MIN_SAMPLES } from './statistics.js';

/** Share of tasks that the baseline must end as they ended. Below it the deciders or the configuration have changed too much since. */
export const REPRODUCED_LEAST = 0.95;
/** Share of the candidate's calls that must be answered from the record, or by a model: below it too much is guessed. */
export const KNOWN_LEAST = 0.5;
/** Outcomes of what this history has too few of, of all calls of the candidate. */
const UNSEEN_MOST = 0.05;
/** Calls that were not allowed, of all calls of the candidate. */
const BLOCKED_MOST = 0.05;
/** What does not count as worse: shares in points, the others as a part of the baseline's. */
const TOLERANCE = { completed: 0.005, yield: 0.01, cost: 0.02, lead: 0.1 } as const;

type Judged = Pick<ReplayReport, 'lanes' | 'counters' | 'estimates' | 'comparability' | 'grade'>;
export type Verdict = Pick<ReplayReport, 'verdict' | 'reasons' | 'summary'>;

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
const usd = (value: number): string => `$${value.toFixed(value < 1 ? 4 : 2)}`;

export const callsOf = ({
  served,
  missed,
  blocked,
}: {
  readonly served: number;
  readonly missed: number;
  readonly blocked: number;
}): number => served + missed + blocked;
const shareOf = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

const incomparable = ({ lanes, counters, estimates, comparability }: Judged): readonly string[] => {
  const reasons: string[] = [];
  const calls = callsOf(counters.candidate);
  if (lanes.observed.tasks === 0) reasons.push('no task of this slice has ended: there is nothing to compare');
  else if (comparability.reproduced < REPRODUCED_LEAST)
    reasons.push(
      `decided again with nothing changed, only ${percent(comparability.reproduced)} of the tasks end as they did (at least ${percent(REPRODUCED_LEAST)} must): the configuration or the code has changed since`,
    );
  if (shareOf(estimates.unseen, calls) > UNSEEN_MOST)
    reasons.push(
      `${estimates.unseen} outcomes would be of a model, tier, prompt or QA profile that this history has fewer than ${MIN_SAMPLES} outcomes of: replay with grade "generation", or on a slice where it was used`,
    );
  if (comparability.known < KNOWN_LEAST)
    reasons.push(
      `only ${percent(comparability.known)} of the candidate's calls are known (at least ${percent(KNOWN_LEAST)} must be), the others are guessed: replay with grade "generation", or change less`,
    );
  if (shareOf(counters.candidate.blocked, calls) > BLOCKED_MOST)
    reasons.push(
      `${counters.candidate.blocked} calls were not allowed: give a larger max_calls or a smaller slice, and see whether a budget of the project, of who asked or of the agent "replay" is used up`,
    );
  return reasons;
};

interface Compared {
  readonly worse: readonly string[];
  readonly better: readonly string[];
}

const completedShare = ({ completed, tasks }: ReplayLane): number => shareOf(completed, tasks);

/** By how much a figure may grow before it counts. */
const grown = (what: string, from: number | null, to: number | null, part: number, show: (value: number) => string): Compared => {
  if (from === null || to === null) return { worse: [], better: [] };
  const line = `${what}: ${show(from)} -> ${show(to)}`;
  if (to > from * (1 + part)) return { worse: [line], better: [] };
  return { worse: [], better: to < from * (1 - part) ? [line] : [] };
};

const shrunk = (what: string, from: number | null, to: number | null, points: number): Compared => {
  if (from === null || to === null) return { worse: [], better: [] };
  const line = `${what}: ${percent(from)} -> ${percent(to)}`;
  if (to < from - points) return { worse: [line], better: [] };
  return { worse: [], better: to > from + points ? [line] : [] };
};

const compared = ({ baseline, candidate }: ReplayReport['lanes']): Compared => {
  const priced = baseline.unpriced === 0 && candidate.unpriced === 0;
  const all = [
    shrunk('completed tasks', completedShare(baseline), completedShare(candidate), TOLERANCE.completed),
    shrunk('accepted at the first attempt', baseline.first_pass_yield, candidate.first_pass_yield, TOLERANCE.yield),
    grown('cost', priced ? baseline.cost_usd : null, priced ? candidate.cost_usd : null, TOLERANCE.cost, usd),
    grown('lead time (95th percentile)', baseline.lead_ms_p95, candidate.lead_ms_p95, TOLERANCE.lead, seconds),
  ];
  return { worse: all.flatMap(({ worse }) => worse), better: all.flatMap(({ better }) => better) };
};

const remarks = ({ lanes, counters, estimates, grade }: Judged): readonly string[] => {
  const { candidate, baseline } = counters;
  const reasons: string[] = [];
  if (candidate.diverged === baseline.diverged && candidate.missed + candidate.blocked === 0)
    reasons.push('the change decides nothing otherwise here');
  if (estimates.outcomes > 0)
    reasons.push(
      `${estimates.outcomes} outcomes are estimates, ${percent(shareOf(candidate.missed, callsOf(candidate)))} of the calls were not on record${grade === 'policy' ? ': grade "generation" would ask the models' : ''}`,
    );
  if (lanes.baseline.unpriced > 0 || lanes.candidate.unpriced > 0) reasons.push('cost is not compared: for some answers no price is known');
  return reasons;
};

export const judge = (judged: Judged): Verdict => {
  const reasons = incomparable(judged);
  if (reasons.length > 0) return { verdict: 'not_comparable', reasons: [...reasons], summary: `not comparable: ${reasons[0]}` };
  const { worse, better } = compared(judged.lanes);
  const verdict = worse.length > 0 ? 'hold' : 'pass';
  const head =
    worse.length > 0 ? `worse in ${worse.join('; ')}` : better.length > 0 ? `not worse, and better in ${better.join('; ')}` : 'not worse';
  return {
    verdict,
    reasons: [...worse.map((line) => `worse: ${line}`), ...better.map((line) => `better: ${line}`), ...remarks(judged)],
    summary: `${verdict}: ${head}`,
  };
};
