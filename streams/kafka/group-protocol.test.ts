import { expect, test } from 'vitest';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-protocol.js';

const places = [
  { name: 'dats.lifecycle', partition: 0 },
  { name: 'dats.lifecycle', partition: 3 },
  { name: 'größe', partition: 2 },
];

test('what a member says of itself comes back', () => {
  const subscription = { topics: ['dats.lifecycle', 'größe'], owned: places };
  expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription);
  expect(decodeSubscription(encodeSubscription({ topics: [], owned: [] }))).toEqual({ topics: [], owned: [] });
});

test('the oldest form of a subscription says nothing about what is owned', () => {
  const bytes = encodeSubscription({ topics: ['a'], owned: places });
  bytes.writeInt16BE(0, 0);
  expect(decodeSubscription(bytes)).toEqual({ topics: ['a'], owned: [] });
});

test('an assignment comes back, and no bytes are none', () => {
  expect(decodeAssignment(encodeAssignment(places))).toEqual(places);
  expect(decodeAssignment(Buffer.alloc(0))).toEqual([]);
});
