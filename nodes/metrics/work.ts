// The consumers of work as figures: what they hold, what they did, what became a dead letter.
//
// K1. Gauges are read from the consumers when a scrape asks; of a consumer that has ended nothing is shown. K2. Counts are taken as they happen.
import type { Topic } from '../../schemas/index.js';
import { MAP_LIMIT_BYTES, type WorkEvent, type WorkStats } from '../../streams/runtime/index.js';
import type { Family, NumberSeries } from './instruments.js';

export interface WorkMetrics {
  readonly incomplete: Family<NumberSeries>;
  readonly oldestIncomplete: Family<NumberSeries>;
  readonly fillRatio: Family<NumberSeries>;
  readonly pausedPartitions: Family<NumberSeries>;
  readonly ownedPartitions: Family<NumberSeries>;
  readonly runningRecords: Family<NumberSeries>;
  readonly committedRecords: Family<NumberSeries>;
  readonly retries: Family<NumberSeries>;
  readonly commitFailures: Family<NumberSeries>;
  readonly fenced: Family<NumberSeries>;
  readonly deadLetters: Family<NumberSeries>;
}

export interface WorkObserver {
  /** For one partition, from its assignment to its end. */
  observe(group: string, topic: Topic): (event: WorkEvent) => void;
  /** Before the gauges are written out. */
  collect(): void;
}

interface Consumer {
  readonly group: string;
  readonly topic: Topic;
  readonly stats: () => WorkStats;
}

const seen = (metrics: WorkMetrics, labels: readonly [string, Topic], stats: WorkStats): void => {
  const highest = (family: Family<NumberSeries>, value: number): void => {
    const series = family.of(...labels);
    series.set(Math.max(series.value, value));
  };
  metrics.ownedPartitions.of(...labels).add();
  metrics.incomplete.of(...labels).add(stats.incomplete);
  metrics.runningRecords.of(...labels).add(stats.running);
  metrics.pausedPartitions.of(...labels).add(stats.paused ? 1 : 0);
  highest(metrics.oldestIncomplete, stats.oldestIncompleteMs / 1_000);
  highest(metrics.fillRatio, stats.mapBytes / MAP_LIMIT_BYTES);
};

export const observeWork = (metrics: WorkMetrics): WorkObserver => {
  const consumers = new Set<Consumer>();
  const { incomplete, oldestIncomplete, fillRatio, pausedPartitions, ownedPartitions, runningRecords } = metrics;
  const gauges = [incomplete, oldestIncomplete, fillRatio, pausedPartitions, ownedPartitions, runningRecords];
  return {
    observe(group, topic) {
      const committed = metrics.committedRecords.of(group, topic);
      const retries = metrics.retries.of(group, topic);
      const commitFailures = metrics.commitFailures.of(group, topic);
      const fenced = metrics.fenced.of(group, topic);
      let consumer: Consumer | undefined;
      const ended = (): void => {
        if (consumer !== undefined) consumers.delete(consumer);
      };
      return (event) => {
        switch (event.type) {
          case 'started':
            consumer = { group, topic, stats: event.stats };
            consumers.add(consumer);
            return;
          case 'committed':
            return committed.add(event.records);
          case 'retry':
            return retries.add();
          case 'dead_letter':
            return metrics.deadLetters.of(topic, event.fault.code).add();
          case 'commit_failed':
            return commitFailures.add();
          case 'fenced':
            fenced.add();
            return ended();
          case 'drained':
            return ended();
        }
      };
    },
    collect() {
      for (const gauge of gauges) gauge.clear();
      for (const { group, topic, stats } of consumers) seen(metrics, [group, topic], stats());
    },
  };
};
