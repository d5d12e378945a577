// A lane in numbers, and where two lanes differ. Pure.
import { REPLAY_DIFFERENCES_LIMIT, type ReplayDifference, type ReplayLane, type ReplayShare } from '../../schemas/index.js';
import type { CostOf } from './price.js';
import type { AttemptRun, Runs, TaskRun } from './runs.js';

/** Six digits after the point: a millionth of a dollar. */
const rounded = (usd: number): number => Math.round(usd * 1e6) / 1e6;

interface Sum {
  attempts: number;
  passed: number;
  tokens_in: number;
  tokens_out: number;
  cost: number;
  priced: number;
  answered: number;
}
const newSum = (): Sum => ({ attempts: 0, passed: 0, tokens_in: 0, tokens_out: 0, cost: 0, priced: 0, answered: 0 });

const add = (sum: Sum, attempt: AttemptRun, cost: number | undefined): void => {
  sum.attempts++;
  if (attempt.result === 'passed') sum.passed++;
  sum.tokens_in += attempt.tokensIn;
  sum.tokens_out += attempt.tokensOut;
  if (attempt.artifacts === undefined) return;
  sum.answered++;
  if (cost === undefined) return;
  sum.priced++;
  sum.cost += cost;
};

const costOfSum = ({ answered, priced, cost }: Sum): number | null => (answered > 0 && priced === 0 ? null : rounded(cost));
const shareOf = (sum: Sum): ReplayShare => ({
  attempts: sum.attempts,
  passed: sum.passed,
  tokens_in: sum.tokens_in,
  tokens_out: sum.tokens_out,
  cost_usd: costOfSum(sum),
});
const sharesOf = (sums: ReadonlyMap<string, Sum>): Record<string, ReplayShare> =>
  Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, sum]) => [key, shareOf(sum)]));

const sumIn = (sums: Map<string, Sum>, key: string): Sum => {
  const sum = sums.get(key) ?? newSum();
  sums.set(key, sum);
  return sum;
};

/** @param sorted smallest first. The smallest value that `share` of them do not exceed. */
const quantile = (sorted: readonly number[], share: number): number | null =>
  sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]!;

const leadOf = ({ createdMs, endMs }: TaskRun): number | undefined => (endMs === undefined ? undefined : endMs - createdMs);

/** `judged`: ids of the tasks that count. */
export const measure = (runs: Runs, judged: readonly string[], costOf: CostOf): ReplayLane => {
  const [all, byTier, byModel] = [newSum(), new Map<string, Sum>(), new Map<string, Sum>()];
  const ends = { completed: 0, failed: 0, cancelled: 0 };
  const leads: number[] = [];
  let [rejected, unanswered, tried, atOnce] = [0, 0, 0, 0];
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const id of judged) {
    const task = runs.tasks.get(id);
    if (task === undefined) continue;
    const lead = leadOf(task);
    if (task.status !== undefined) ends[task.status]++;
    if (lead !== undefined) leads.push(lead);
    first = Math.min(first, task.createdMs);
    last = Math.max(last, task.endMs ?? Number.NEGATIVE_INFINITY);
    if (task.attempts.length > 0) tried++;
    if (task.attempts.length === 1 && task.status === 'completed') atOnce++;
    for (const attempt of task.attempts) {
      const cost = costOf(attempt);
      add(all, attempt, cost);
      add(sumIn(byTier, attempt.tier), attempt, cost);
      if (attempt.model !== undefined) add(sumIn(byModel, attempt.model), attempt, cost);
      if (attempt.result === 'rejected') rejected++;
      if (attempt.result === 'unanswered') unanswered++;
    }
  }
  leads.sort((a, b) => a - b);
  return {
    tasks: judged.length,
    ...ends,
    attempts: all.attempts,
    first_pass_yield: tried === 0 ? null : atOnce / tried,
    rejected,
    unanswered,
    tokens_in: all.tokens_in,
    tokens_out: all.tokens_out,
    cost_usd: costOfSum(all),
    unpriced: all.answered - all.priced,
    makespan_ms: last < first ? 0 : last - first,
    lead_ms_p50: quantile(leads, 0.5),
    lead_ms_p95: quantile(leads, 0.95),
    by_tier: sharesOf(byTier),
    by_model: sharesOf(byModel),
  };
};

const endOf = ({ status, errorCode }: TaskRun): string => (errorCode === undefined ? (status ?? 'open') : `${status}: ${errorCode}`);
const tokensOf = ({ attempts }: TaskRun): number => attempts.reduce((sum, { tokensIn, tokensOut }) => sum + tokensIn + tokensOut, 0);

const outputOf = ({ attempts }: TaskRun): AttemptRun | undefined => attempts.findLast(({ artifacts }) => artifacts !== undefined);
const artifactsOf = (a: TaskRun, b: TaskRun): ReplayDifference['artifacts'] => {
  const [x, y] = [outputOf(a), outputOf(b)];
  const isSame =
    x?.artifacts?.size === y?.artifacts?.size && [...(x?.artifacts ?? [])].every(([path, digest]) => y?.artifacts?.get(path) === digest);
  if (isSame) return undefined;
  return x?.estimated || y?.estimated ? 'unknown' : 'different';
};

const differenceOf = (id: string, a: TaskRun, b: TaskRun, costOf: CostOf): ReplayDifference | undefined => {
  const found: ReplayDifference = { task_id: id };
  const modelOf = (task: TaskRun): string | null => task.attempts[0]?.model ?? task.attempts[0]?.named ?? null;
  const changed = <T>(value: (task: TaskRun) => T): { from: T; to: T } | undefined => {
    const [from, to] = [value(a), value(b)];
    return from === to ? undefined : { from, to };
  };
  const priced = (task: TaskRun): number => rounded(task.attempts.reduce((sum, attempt) => sum + (costOf(attempt) ?? 0), 0));
  const facts = {
    tier: changed((task) => task.attempts[0]?.tier ?? null),
    model: changed(modelOf),
    attempts: changed((task) => task.attempts.length),
    end: changed(endOf),
    artifacts: artifactsOf(a, b),
    tokens: changed(tokensOf),
    cost_usd: changed(priced),
    lead_ms: changed((task) => leadOf(task) ?? null),
  };
  for (const [name, value] of Object.entries(facts)) if (value !== undefined) Object.assign(found, { [name]: value });
  return Object.keys(found).length > 1 ? found : undefined;
};

/** A task that waited longer and is otherwise the same comes after those that were decided otherwise. */
const onlyWaited = (difference: ReplayDifference): boolean => Object.keys(difference).length === 2 && difference.lead_ms !== undefined;

/** From `before` to `after`, those that matter first, then by id. */
export const differences = (before: Runs, after: Runs, judged: readonly string[], costOf: CostOf) => {
  const found = judged.flatMap((id) => {
    const nobody: TaskRun = { id, createdMs: 0, attempts: [] };
    return differenceOf(id, before.tasks.get(id) ?? nobody, after.tasks.get(id) ?? nobody, costOf) ?? [];
  });
  found.sort((a, b) => Number(onlyWaited(a)) - Number(onlyWaited(b)) || (a.task_id < b.task_id ? -1 : 1));
  return { differences: found.slice(0, REPLAY_DIFFERENCES_LIMIT), differences_total: found.length };
};
