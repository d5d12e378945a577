import { expect, test } from 'vitest';
import { type Figure, isMet, lineOf } from './figure.js';
import { resultsPage } from './results.js';
import { percentile } from './statistics.js';

const alone: Figure = { id: 'P2', what: 'submission, p50', value: 1.25, unit: 'ms', target: { at: 'most', bound: 1.5 } };
const beside: Figure = {
  id: 'P1',
  what: 'throughput',
  value: 5_000,
  unit: 'tasks/s',
  target: { at: 'least', bound: 2 },
  peer: { name: 'RabbitMQ', version: '3.10.8', setting: 'classic', value: 3_000 },
};

test('a figure alone is judged by its value', () => {
  expect(isMet(alone)).toBe(true);
  expect(isMet({ ...alone, value: 1.6 })).toBe(false);
});

test('a figure with a peer is judged by the ratio, not by the value', () => {
  expect(isMet(beside)).toBe(false);
  expect(isMet({ ...beside, value: 6_000 })).toBe(true);
});

test('a figure without a target is told and not judged', () => {
  const { target: _, ...told } = alone;
  expect(isMet(told)).toBeUndefined();
  expect(lineOf(told)).toContain('for information');
});

test('a value that could not be measured meets no target', () => {
  expect(isMet({ ...alone, value: Number.NaN })).toBe(false);
});

test('a line holds ours, the target, the peer with version and setting, the ratio and the verdict', () => {
  expect(lineOf(beside)).toBe(
    'P1 | throughput | 5,000 tasks/s | target >= 2 x RabbitMQ | RabbitMQ 3.10.8 (classic) 3,000 tasks/s | ratio 1.67 | NOT MET',
  );
});

test('a figure is judged by its value whatever is told beside it', () => {
  const peers = [
    { name: 'embedded', version: 'of this run', setting: 'LMDB', value: 2.5 },
    { name: 'kafkajs', version: '2.2.4', setting: 'alone', value: 0.5 },
  ];
  expect(isMet({ ...alone, beside: peers })).toBe(true);
  expect(lineOf({ ...alone, beside: peers })).toBe(
    'P2 | submission, p50 | 1.25 ms | target <= 1.5 ms | embedded of this run (LMDB) 2.5 ms; kafkajs 2.2.4 (alone) 0.5 ms | ratio 0.50; 2.50 | met',
  );
});

test('a percentile is a measured value, whatever the order they came in', () => {
  expect(percentile([5, 1, 4, 2, 3], 0.5)).toBe(3);
  expect(percentile([5, 1, 4, 2, 3], 0.99)).toBe(5);
  expect(percentile([], 0.5)).toBeNaN();
});

test('the results page has a row for each figure, in the order of their ids', () => {
  const page = resultsPage([{ ...alone, id: 'R2' }, { ...alone, id: 'P11' }, { ...alone, id: 'P1k' }, beside, alone], 'machine | 2 cores', [
    'Disturbed.',
  ]);
  expect(
    page
      .split('\n')
      .filter((line) => /^\| [PR]\d/.test(line))
      .map((line) => line.split(' | ', 1)[0]),
  ).toEqual(['| P1', '| P1k', '| P2', '| P11', '| R2']);
  expect(page).toContain('machine; 2 cores');
  expect(page).toContain('Disturbed.');
});
