// From a history and a change to the report: three lanes, side by side.
//
// P1. With grade `policy` the same history and the same request give the same report, byte for byte. P2. The baseline is the candidate without changes: both come
// out of the same simulation, so that what it gets wrong it gets wrong in both.
import type { DataOf, ModelConfig, Prices, ReplayLane, ReplayReport } from '../../schemas/index.js';
import { BUILT_IN_PROMPTS, type PromptVersions } from '../prompt-versions.js';
import type { RoutingOptions } from '../routing/index.js';
import type { SchedulingPolicy } from '../scheduling/index.js';
import type { Breather } from './breather.js';
import { type EventsOf, type Lane, runLane } from './lane.js';
import { differences, measure } from './measures.js';
import type { Live } from './oracle.js';
import { pricing } from './price.js';
import { type History, isJudged } from './record.js';
import type { Runs } from './runs.js';
import { statisticsOf } from './statistics.js';
import { callsOf, judge } from './verdict.js';

export type ReplayRequest = DataOf<'dats.replay.requested'>;

/** The configuration in force. */
export interface ReplayConfig {
  readonly routing: RoutingOptions;
  readonly scheduling: SchedulingPolicy;
  /** Default: what is built in. */
  readonly prompts?: PromptVersions;
  readonly models: readonly ModelConfig[];
  readonly prices: Prices;
}

export interface Comparison {
  readonly request: Pick<ReplayRequest, 'grade' | 'slice' | 'changes'>;
  readonly project: string;
  readonly shadow: string;
  readonly history: History;
  readonly observed: Runs;
  readonly config: ReplayConfig;
  /** Above every offset of the real partition. */
  readonly firstOffset: number;
  /** Answers what is not on record, in the candidate lane. */
  readonly live?: (events: EventsOf) => Live;
  readonly breather: Breather;
  readonly onProgress: (lane: 'baseline' | 'candidate', done: number, total: number) => Promise<void>;
}

export const compare = async (comparison: Comparison): Promise<ReplayReport> => {
  const { request, project, shadow, history, observed, config, firstOffset, live, breather } = comparison;
  const statistics = await statisticsOf(history.tasks.values(), breather);
  await breather.give();
  const judged = [...history.tasks.values()].filter(isJudged).map(({ id }) => id);
  const lane = (name: 'baseline' | 'candidate'): Promise<Lane> =>
    runLane({
      project,
      shadow,
      history,
      observed,
      statistics,
      routing: config.routing,
      scheduling: config.scheduling,
      prompts: config.prompts ?? BUILT_IN_PROMPTS,
      changes: name === 'baseline' ? {} : request.changes,
      firstOffset,
      ...(name === 'candidate' && live !== undefined ? { live } : {}),
      breather,
      onProgress: (done, total) => comparison.onProgress(name, done, total),
    });
  const baseline = await lane('baseline');
  const candidate = await lane('candidate');
  const costOf = pricing(config.models, config.prices);
  const same = judged.length - baseline.counters.diverged;
  const calls = callsOf(candidate.counters);
  const reproduced = judged.length === 0 ? 1 : same / judged.length;
  const measured = async (runs: Runs): Promise<ReplayLane> => {
    await breather.give();
    return measure(runs, judged, costOf);
  };
  const lanes = { observed: await measured(observed), baseline: await measured(baseline.runs), candidate: await measured(candidate.runs) };
  await breather.give();
  const told = {
    version: 1 as const,
    project_id: project,
    grade: request.grade,
    slice: request.slice,
    changes: request.changes,
    history: {
      tasks: history.tasks.size,
      submitted: history.submitted,
      open: history.tasks.size - judged.length,
      events: history.events,
    },
    lanes,
    counters: { baseline: baseline.counters, candidate: candidate.counters },
    estimates: { ...candidate.estimates },
    cancels: { ...candidate.cancels },
    comparability: { reproduced, known: calls === 0 ? 1 : 1 - Math.min(1, candidate.estimates.outcomes / calls), comparable: true },
  };
  const verdict = judge(told);
  return {
    ...told,
    comparability: { ...told.comparability, comparable: verdict.verdict !== 'not_comparable' },
    ...verdict,
    ...differences(baseline.runs, candidate.runs, judged, costOf),
  };
};
