import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIFECYCLE, TELEMETRY, type Topic } from '../../schemas/index.js';
import { balance, type Owned, placeKey, type Subscriber } from './balance.js';

const places = (topics: readonly Topic[], partitions: number, owner: (topic: Topic, partition: number) => string | undefined): Owned[] =>
  topics.flatMap((topic) => Array.from({ length: partitions }, (_, partition) => ({ topic, partition, owner: owner(topic, partition) })));
const member = (id: string, topics: readonly Topic[] = [LIFECYCLE]): Subscriber => ({ id, topics });
const shares = (target: ReadonlyMap<string, string>, members: readonly Subscriber[]) =>
  members.map(({ id }) => [...target.values()].filter((owner) => owner === id).length);

test('members share the partitions evenly, whatever was before, and no more moves than must', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 16 }),
      fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 32, maxLength: 32 }),
      (count, partitions, owners) => {
        const topics: Topic[] = [LIFECYCLE, TELEMETRY];
        const members = Array.from({ length: count }, (_, i) => member(`m${i}`, topics));
        const before = places(topics, partitions, (topic, partition) =>
          owners[partition + (topic === LIFECYCLE ? 0 : 16)]! < 7 ? `m${owners[partition]}` : undefined,
        );
        const target = balance(members, before);
        const result = shares(target, members);
        expect(result.reduce((sum, share) => sum + share, 0)).toBe(before.length);
        expect(Math.max(...result) - Math.min(...result)).toBeLessThanOrEqual(1);
        const most = Math.ceil(before.length / count);
        for (const { id } of members) {
          const had = before.filter((place) => place.owner === id);
          const kept = had.filter((place) => target.get(placeKey(place)) === id).length;
          expect(kept).toBeGreaterThanOrEqual(Math.min(had.length, Math.floor(before.length / count)));
          expect(kept).toBeLessThanOrEqual(most);
        }
        const after = before.map((place) => ({ ...place, owner: target.get(placeKey(place)) }));
        expect(balance(members, after)).toEqual(target);
      },
    ),
  );
});

test('only who subscribes to a topic gets its partitions', () => {
  const members = [member('a', [LIFECYCLE]), member('b', [TELEMETRY])];
  const target = balance(
    members,
    places([LIFECYCLE, TELEMETRY], 2, () => undefined),
  );
  expect(Object.fromEntries(target)).toEqual({
    'dats.lifecycle/0': 'a',
    'dats.lifecycle/1': 'a',
    'dats.telemetry/0': 'b',
    'dats.telemetry/1': 'b',
  });
  expect(
    balance(
      [],
      places([LIFECYCLE], 2, () => 'gone'),
    ).size,
  ).toBe(0);
});
