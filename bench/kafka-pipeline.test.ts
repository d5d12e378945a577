import { expect, test } from 'vitest';
import { requestsNote } from './commit-cost.js';
import { hopsNote } from './kafka-pipeline.js';

test('the median of every hop is told, in the order of the chain', () => {
  const chain = (first: number, second: number) => [
    { from: 'dats.task.created', to: 'dats.task.analyzed', ms: first },
    { from: 'dats.work.requested', to: 'dats.task.output.created', ms: second },
  ];
  expect(hopsNote([chain(5, 10), chain(7, 30), chain(6, 20)])).toBe(
    'hops p50: task.created -> task.analyzed 6 ms, work.requested -> task.output.created 20 ms',
  );
});

test('requests of a commit are counted by name, and those of reading are not', () => {
  expect(requestsNote([24, 0, 1, 1, 26, 24, 0, 0, 26], 2)).toBe('AddPartitionsToTxn 1, Produce 1.5, EndTxn 1: 3.5 requests');
});
