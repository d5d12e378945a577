// What a scrape has to ask somebody for: the lag of groups, how dependencies and models are. Nothing of it is asked between scrapes.
//
// Q1. A scrape waits for LIMIT_MS at most, whatever hangs. Q2. What was not answered is missing from that scrape, and counted as unanswered; old figures are
// never shown for new ones. Q3. A question that still waits for its answer is not asked again beside it: the next scrape waits for the same one.
import type { DependencyHealth } from '../../gateway/index.js';
import type { ModelGateway, ModelStatus } from '../../models/index.js';
import type { Topic } from '../../schemas/index.js';
import { type GroupLag, type Log, within } from '../../streams/index.js';
import type { EdgeFigures } from '../edge-figures.js';
import type { Family, NumberSeries } from './instruments.js';

/** How long a scrape waits for answers, milliseconds; Prometheus gives up after 10 s. */
export const LIMIT_MS = 2_000;

export interface QuestionMetrics {
  readonly lag: Family<NumberSeries>;
  readonly ingestLag: Family<NumberSeries>;
  readonly dependencyUp: Family<NumberSeries>;
  readonly modelUp: Family<NumberSeries>;
  readonly modelRunning: Family<NumberSeries>;
  readonly modelQueued: Family<NumberSeries>;
  readonly modelErrors: Family<NumberSeries>;
  readonly modelLoaded: Family<NumberSeries>;
  readonly modelBreaker: Family<NumberSeries>;
  readonly edgeConnected: Family<NumberSeries>;
  readonly edgeOpen: Family<NumberSeries>;
  readonly edgeBacklog: Family<NumberSeries>;
  readonly edgeSeenAge: Family<NumberSeries>;
  readonly edgeSentBytes: Family<NumberSeries>;
  readonly edgeSentBatches: Family<NumberSeries>;
  readonly scrapeUnanswered: Family<NumberSeries>;
}

interface Group {
  readonly group: string;
  readonly topics: readonly Topic[];
}

export interface Sources {
  readonly log: Pick<Log, 'lag'>;
  readonly models: Pick<ModelGateway, 'status'>;
  /** Must answer for itself within LIMIT_MS where a dependency does not: see `healthOf`. */
  readonly health: () => Promise<readonly DependencyHealth[]>;
  readonly groups: readonly Group[];
  /** How many records ClickHouse does not have yet; undefined where there is none. */
  readonly history: (() => Promise<number>) | undefined;
  /** How the lines of edge nodes are; absent where there are none. */
  readonly edges?: (() => Promise<readonly EdgeFigures[]>) | undefined;
}

interface Question<T> {
  readonly part: string;
  readonly ask: () => Promise<T>;
  /** Shows the answer; undefined: there is none. */
  readonly show: (answer: T | undefined) => void;
}

/** The answer, or undefined after `ms` or when there is none. Joins a question that still waits (Q3). */
const asking = <T>(ask: () => Promise<T>): ((ms: number) => Promise<T | undefined>) => {
  let pending: Promise<T> | undefined;
  return async (ms) => {
    if (pending === undefined) {
      const asked = Promise.resolve().then(ask);
      const over = (): void => {
        pending = undefined;
      };
      asked.then(over, over);
      pending = asked;
    }
    return within(ms, pending).catch(() => undefined);
  };
};

const showLag = (lag: Family<NumberSeries>, group: string, answer: readonly GroupLag[] | undefined): void => {
  for (const one of answer ?? []) lag.of(group, one.topic).add(one.lag);
};

const showModels = (metrics: QuestionMetrics, models: readonly ModelStatus[] | undefined): void => {
  for (const { id, health, running, queued, features, breaker } of models ?? []) {
    metrics.modelUp.of(id).set(health.ok ? 1 : 0);
    metrics.modelRunning.of(id).set(running);
    metrics.modelQueued.of(id).set(queued ?? 0);
    if (breaker !== undefined) metrics.modelBreaker.of(id).set(breaker === 'closed' ? 0 : 1);
    if (features?.error_rate !== undefined) metrics.modelErrors.of(id).set(features.error_rate);
    if (features?.loaded !== undefined) metrics.modelLoaded.of(id).set(features.loaded ? 1 : 0);
  }
};

const showEdges = (metrics: QuestionMetrics, edges: readonly EdgeFigures[] | undefined): void => {
  for (const { node, connected, open, backlog, seenAgeS, sent } of edges ?? []) {
    metrics.edgeConnected.of(node).set(connected ? 1 : 0);
    if (open !== undefined) metrics.edgeOpen.of(node).set(open ? 1 : 0);
    if (backlog !== undefined) metrics.edgeBacklog.of(node).set(backlog);
    if (seenAgeS !== undefined) metrics.edgeSeenAge.of(node).set(seenAgeS);
    if (sent === undefined) continue;
    metrics.edgeSentBytes.of(node).set(sent.bytes);
    metrics.edgeSentBatches.of(node).set(sent.batches);
  }
};

/** Asks everything once, all at once. */
export const openQuestions = (metrics: QuestionMetrics, sources: Sources, limitMs: number = LIMIT_MS): (() => Promise<void>) => {
  const { log, models, health, groups, history, edges } = sources;
  const { modelUp, modelRunning, modelQueued, modelErrors, modelLoaded, modelBreaker } = metrics;
  const ofModels = [modelUp, modelRunning, modelQueued, modelErrors, modelLoaded, modelBreaker];
  const { edgeConnected, edgeOpen, edgeBacklog, edgeSeenAge, edgeSentBytes, edgeSentBatches } = metrics;
  const ofEdges = [edgeConnected, edgeOpen, edgeBacklog, edgeSeenAge, edgeSentBytes, edgeSentBatches];
  const told = [metrics.lag, metrics.ingestLag, metrics.dependencyUp, ...ofModels, ...ofEdges];
  const question = <T>({ part, ask, show }: Question<T>) => {
    const answerWithin = asking(ask);
    const unanswered = metrics.scrapeUnanswered.of(part);
    return async (): Promise<() => void> => {
      const answer = await answerWithin(limitMs);
      if (answer === undefined) unanswered.add();
      return () => show(answer);
    };
  };
  const lagOf = ({ group, topics }: Group, show: Question<readonly GroupLag[]>['show']) =>
    question({ part: `lag ${group}`, ask: () => log.lag(group, topics), show });
  const all = [
    ...groups.map((one) => lagOf(one, (answer) => showLag(metrics.lag, one.group, answer))),
    ...(history === undefined
      ? []
      : [
          question({
            part: 'history',
            ask: history,
            show: (answer) => {
              if (answer !== undefined) metrics.ingestLag.of().set(answer);
            },
          }),
        ]),
    question({
      part: 'health',
      ask: health,
      show: (answer) => {
        for (const { name, ok } of answer ?? []) metrics.dependencyUp.of(name).set(ok ? 1 : 0);
      },
    }),
    ...(edges === undefined ? [] : [question({ part: 'edges', ask: edges, show: (answer) => showEdges(metrics, answer) })]),
    question({ part: 'models', ask: () => models.status(), show: (answer) => showModels(metrics, answer) }),
  ];
  return async () => {
    const shows = await Promise.all(all.map((ask) => ask()));
    for (const family of told) family.clear();
    for (const show of shows) show();
  };
};
