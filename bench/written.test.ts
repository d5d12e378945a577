import { expect, test } from 'vitest';
import { evenSample, hopsTo, type Link } from './written.js';

const link = (source: string, at: number, cause?: string): Link => ({ type: `dats.${source}.${at}`, source, cause, at });

test('a sample of few is all of them', () => {
  const sample = evenSample<number>(4);
  for (const item of [1, 2, 3]) sample.offer(item);
  expect(sample.kept).toEqual([1, 2, 3]);
});

test('a sample of many is evenly spaced, and no larger than its limit', () => {
  const sample = evenSample<number>(8);
  for (let i = 0; i < 1_000; i++) sample.offer(i);
  expect(sample.kept.length).toBeLessThanOrEqual(8);
  expect(sample.kept.length).toBeGreaterThanOrEqual(4);
  const steps = sample.kept.slice(1).map((item, i) => item - sample.kept[i]!);
  expect(new Set(steps).size).toBe(1);
  expect(sample.kept[0]).toBe(0);
});

test('a hop is where the writer changes: what one writer says in one turn is one commit', () => {
  const links = new Map([
    ['created', link('gateway', 10)],
    ['analyzed', link('core', 13, 'created')],
    ['requested', link('core', 14, 'analyzed')],
    ['output', link('worker', 20, 'requested')],
    ['completed', link('core', 29, 'output')],
  ]);
  expect(hopsTo(links, 'completed')).toEqual([
    { from: 'dats.gateway.10', to: 'dats.core.13', ms: 3 },
    { from: 'dats.core.14', to: 'dats.worker.20', ms: 6 },
    { from: 'dats.worker.20', to: 'dats.core.29', ms: 9 },
  ]);
});

test('a chain with a missing cause, or one that bites its tail, is an error', () => {
  expect(() => hopsTo(new Map([['b', link('core', 1, 'a')]]), 'b')).toThrow('broken at a');
  const round = new Map([
    ['a', link('core', 1, 'b')],
    ['b', link('core', 1, 'a')],
  ]);
  expect(() => hopsTo(round, 'a')).toThrow('broken at a');
});
