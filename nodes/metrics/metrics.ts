// The metrics of a node: what its parts report to, and the text that Prometheus scrapes. The only home of prom-client.
//
// P1. One registry a node, so that several may live in a process; what is said of the process itself is measured once. P2. Without a scrape nothing is
// computed, asked or written. P3. Scrapes that meet share one answer.
import type { RequestTimer } from '../../gateway/index.js';
import type { ModelGateway } from '../../models/index.js';
import { type ModelCall, type Topic, toFault } from '../../schemas/index.js';
import type { WorkEvent } from '../../streams/runtime/index.js';
import { observeCalls, watchDecisions } from './calls.js';
import { CATALOGUE } from './catalogue.js';
import { type Family, type HistogramSeries, type NumberSeries, openHistogram, openNumbers } from './instruments.js';
import { type LifecycleObserver, observeLifecycle } from './lifecycle.js';
import { processRegistry, watchLoop } from './process.js';
import { openQuestions, type Sources } from './questions.js';
import { timeRequests } from './requests.js';
import { observeWork } from './work.js';

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

export interface MetricsOptions {
  readonly version: string;
  readonly node: string;
  /** As on the command line. */
  readonly roles: string;
  /** How long a scrape waits for answers, milliseconds. */
  readonly limitMs?: number;
}

export interface Metrics {
  /** For `onCall` of the model gateway. */
  readonly onCall: (call: ModelCall) => void;
  /** The model gateway, watched. */
  watch(models: ModelGateway): ModelGateway;
  /** For one partition of deciders, as long as it is owned. */
  lifecycle(): LifecycleObserver;
  /** For one partition of a consumer of work. */
  work(group: string, topic: Topic): (event: WorkEvent) => void;
  readonly requests: RequestTimer;
  /** Counts a problem that was survived. */
  problem(where: string, error: unknown): void;
  /** From now on scrapes ask these too. */
  ask(sources: Sources): void;
  /** The exposition, within about LIMIT_MS. Never rejects because of somebody who does not answer. */
  scrape(): Promise<MetricsText>;
}

type Catalogue = typeof CATALOGUE;
type Families = { readonly [K in keyof Catalogue]: Family<Catalogue[K]['type'] extends 'histogram' ? HistogramSeries : NumberSeries> };

const openFamilies = (): Families =>
  Object.fromEntries(
    Object.entries(CATALOGUE).map(([key, definition]) => [
      key,
      'buckets' in definition ? openHistogram(definition) : openNumbers(definition),
    ]),
  ) as Families;

export const openMetrics = async (options: MetricsOptions): Promise<Metrics> => {
  const { Registry } = await import('prom-client');
  const families = openFamilies();
  const registry = Registry.merge([await processRegistry()]);
  for (const { metric } of Object.values(families)) registry.registerMetric(metric);
  families.buildInfo.of(options.version, options.node, options.roles, process.version).set(1);
  const work = observeWork(families);
  const showLoop = watchLoop(families.loopDelay);
  let questions = async (): Promise<void> => {};
  let scraping: Promise<MetricsText> | undefined;

  const write = async (): Promise<MetricsText> => {
    await questions();
    work.collect();
    showLoop();
    return { contentType: registry.contentType, body: await registry.metrics() };
  };

  return {
    onCall: observeCalls(families),
    watch: (models) => watchDecisions(models, families),
    lifecycle: () => observeLifecycle(families),
    work: work.observe,
    requests: timeRequests(families.requests),
    problem: (where, error) => families.problems.of(where, toFault(error).code).add(),
    ask(sources) {
      questions = openQuestions(families, sources, options.limitMs);
    },
    scrape() {
      scraping ??= write().finally(() => {
        scraping = undefined;
      });
      return scraping;
    },
  };
};
