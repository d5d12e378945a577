import { expect, it } from 'vitest';
import { Fault } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';
import { MAP_LIMIT_BYTES, type WorkStats } from '../../streams/runtime/index.js';
import { CATALOGUE } from './catalogue.js';
import { openNumbers } from './instruments.js';
import { observeWork } from './work.js';

const open = () => ({
  incomplete: openNumbers(CATALOGUE.incomplete),
  oldestIncomplete: openNumbers(CATALOGUE.oldestIncomplete),
  fillRatio: openNumbers(CATALOGUE.fillRatio),
  pausedPartitions: openNumbers(CATALOGUE.pausedPartitions),
  ownedPartitions: openNumbers(CATALOGUE.ownedPartitions),
  runningRecords: openNumbers(CATALOGUE.runningRecords),
  committedRecords: openNumbers(CATALOGUE.committedRecords),
  retries: openNumbers(CATALOGUE.retries),
  commitFailures: openNumbers(CATALOGUE.commitFailures),
  fenced: openNumbers(CATALOGUE.fenced),
  deadLetters: openNumbers(CATALOGUE.deadLetters),
});
const stats = (change: Partial<WorkStats> = {}): WorkStats => ({
  inFlight: 0,
  running: 2,
  incomplete: 5,
  oldestIncompleteMs: 4_000,
  paused: false,
  retries: 0,
  deadLetters: 0,
  mapBytes: MAP_LIMIT_BYTES / 4,
  ...change,
});
const fault = new Fault('retryable', 'model_unreachable', 'away');
const record: Recorded = { topic: 'dats.work.qa', partition: 0, offset: 1, key: 'k', headers: {}, value: '', type: '', timestamp: 0 };

it('partitions of a topic are added up, ages and fill ratios are those of the worst', () => {
  const metrics = open();
  const work = observeWork(metrics);
  work.observe('workers', 'dats.work.qa')({ type: 'started', stats: () => stats() });
  work.observe(
    'workers',
    'dats.work.qa',
  )({ type: 'started', stats: () => stats({ oldestIncompleteMs: 9_000, paused: true, mapBytes: 0 }) });
  for (let scrape = 0; scrape < 2; scrape++) work.collect();
  const of = (key: 'incomplete' | 'oldestIncomplete' | 'fillRatio' | 'pausedPartitions' | 'ownedPartitions' | 'runningRecords') =>
    metrics[key].of('workers', 'dats.work.qa').value;
  expect([of('incomplete'), of('runningRecords'), of('ownedPartitions'), of('pausedPartitions')]).toEqual([10, 4, 2, 1]);
  expect([of('oldestIncomplete'), of('fillRatio')]).toEqual([9, 0.25]);
});

it('a consumer that was drained or fenced is no longer shown', async () => {
  const metrics = open();
  const work = observeWork(metrics);
  const [first, second] = [work.observe('workers', 'dats.work.qa'), work.observe('workers', 'dats.work.small')];
  for (const consumer of [first, second]) consumer({ type: 'started', stats: () => stats() });
  first({ type: 'drained', left: 0 });
  second({ type: 'fenced', fault });
  work.collect();
  expect(await metrics.ownedPartitions.metric.get()).toMatchObject({ values: [] });
  expect(metrics.fenced.of('workers', 'dats.work.small').value).toBe(1);
});

it('what happens is counted as it happens', () => {
  const metrics = open();
  const tell = observeWork(metrics).observe('workers', 'dats.work.qa');
  tell({ type: 'committed', records: 7, outputs: 9 });
  tell({ type: 'retry', record, fault, attempt: 1, delayMs: 5 });
  tell({ type: 'dead_letter', record, fault, attempts: 4 });
  tell({ type: 'commit_failed', fault, attempt: 1, delayMs: 5 });
  const of = (key: 'committedRecords' | 'retries' | 'commitFailures') => metrics[key].of('workers', 'dats.work.qa').value;
  expect([of('committedRecords'), of('retries'), of('commitFailures')]).toEqual([7, 1, 1]);
  expect(metrics.deadLetters.of('dats.work.qa', 'model_unreachable').value).toBe(1);
});
