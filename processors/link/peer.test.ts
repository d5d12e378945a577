import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DataOf } from '../../schemas/index.js';
import { advance, cursorOf, isSuperseded, join, judge, type Peer } from './peer.js';

const RUNS = 300;
const TOPIC = 'dats.lifecycle';
const ABILITIES = { version: '1', roles: 'all', models: [], slots: { small: 1 }, projects: ['e'] };
const said = (store_id: string, over: Partial<DataOf<'dats.node.joined'>> = {}): DataOf<'dats.node.joined'> => ({
  ...ABILITIES,
  node_id: 'e',
  store_id,
  ...over,
});
const joined = (known: Peer | undefined, store: string, over: Partial<DataOf<'dats.node.joined'>> = {}): Peer =>
  join(known, said(store, over))!.peer;
const at = (peer: Peer, next: number, partition = 0): Peer => advance(peer, { epoch: peer.epoch, topic: TOPIC, partition, first: 0, next });
const batch = (epoch: number, first: number, next: number, partition = 0) => ({ epoch, topic: TOPIC, partition, first, next }) as const;

describe('a node that joins', () => {
  it('for the first time begins at 0 under epoch 1', () => {
    const { peer, registered } = join(undefined, said('store-a'))!;
    expect(peer).toMatchObject({ node_id: 'e', store_id: 'store-a', epoch: 1, earlier: [], cursors: {}, abilities: ABILITIES });
    expect(registered).toEqual({ ...ABILITIES, node_id: 'e', store_id: 'store-a', epoch: 1 });
  });

  it('again goes on where it was, and is told of only when it can do something else', () => {
    const known = at(joined(undefined, 'store-a'), 7);
    const again = join(known, said('store-a'))!;
    expect([cursorOf(again.peer, TOPIC, 0), again.peer.epoch, again.registered]).toEqual([7, 1, undefined]);
    const more = join(known, said('store-a', { version: '2' }))!;
    expect([cursorOf(more.peer, TOPIC, 0), more.registered?.version, more.registered?.epoch]).toEqual([7, '2', 1]);
  });

  it('with a new store begins at 0 under the next epoch, and is told what is missing there (P3)', () => {
    const known = at(at(joined(undefined, 'store-a'), 7), 3, 2);
    const { peer, registered } = join(known, said('store-b'))!;
    expect([peer.epoch, peer.cursors, peer.earlier]).toEqual([2, {}, ['store-a']]);
    expect(registered?.missing).toEqual([
      { epoch: 1, topic: TOPIC, partition: 0, records: 7 },
      { epoch: 1, topic: TOPIC, partition: 2, records: 3 },
    ]);
    expect(peer.missing).toEqual(registered?.missing);
  });

  it('with a store that was restored goes on where both are the same, under the next epoch (P4)', () => {
    const known = at(at(at(joined(undefined, 'store-a'), 7), 3, 1), 9, 2);
    const continues = { store_id: 'store-a', ends: { [`${TOPIC}/0`]: 5, [`${TOPIC}/1`]: 8 } };
    const { peer } = join(known, said('store-b', { continues }))!;
    expect(peer.cursors).toEqual({ [`${TOPIC}/0`]: 5, [`${TOPIC}/1`]: 3, [`${TOPIC}/2`]: 0 });
    expect(peer.missing).toEqual([
      { epoch: 1, topic: TOPIC, partition: 0, records: 2 },
      { epoch: 1, topic: TOPIC, partition: 2, records: 9 },
    ]);
  });

  it('with a store that continues another one than is known begins at 0', () => {
    const known = at(joined(undefined, 'store-a'), 7);
    const continues = { store_id: 'store-x', ends: { [`${TOPIC}/0`]: 5 } };
    expect(joined(known, 'store-b', { continues }).cursors).toEqual({});
  });

  it('again, still saying what it continues, goes on where it was', () => {
    const continues = { store_id: 'store-a', ends: { [`${TOPIC}/0`]: 5 } };
    const known = at(joined(at(joined(undefined, 'store-a'), 7), 'store-b', { continues }), 6);
    const again = joined(known, 'store-b', { continues });
    expect([again.epoch, again.cursors]).toEqual([2, { [`${TOPIC}/0`]: 6 }]);
  });

  it('with a store that another one has taken the place of is not listened to (P1)', () => {
    const known = joined(joined(undefined, 'store-a'), 'store-b');
    expect(join(known, said('store-a'))).toBeUndefined();
    expect([isSuperseded(known, 'store-a'), isSuperseded(known, 'store-b'), isSuperseded(undefined, 'store-a')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('with ever new stores is remembered with the last 32 of them', () => {
    let peer = joined(undefined, 'store-0');
    for (let i = 1; i <= 40; i++) peer = joined(peer, `store-${i}`);
    expect([peer.epoch, peer.earlier.length, peer.earlier[0], peer.earlier.at(-1)]).toEqual([41, 32, 'store-8', 'store-39']);
  });
});

describe('a batch', () => {
  const known = at(joined(undefined, 'store-a'), 10);

  it.each([
    ['that follows', batch(1, 10, 14), 'taken', 10],
    ['that overlaps', batch(1, 4, 14), 'taken', 10],
    ['that is known', batch(1, 4, 10), 'known', 10],
    ['that is known in part of it', batch(1, 4, 9), 'known', 10],
    ['that leaves a gap', batch(1, 11, 14), 'gap', 10],
    ['of a partition that was never sent', batch(1, 0, 3, 5), 'taken', 0],
    ['of an older epoch', batch(0, 10, 14), 'superseded', 0],
    ['of an epoch that is not known', batch(2, 10, 14), 'superseded', 0],
  ] as const)('%s', (_what, place, verdict, from) => {
    expect(judge(known, place)).toEqual({ verdict, from });
  });

  it('of a node that never joined is not taken', () => {
    expect(judge(undefined, batch(1, 0, 3)).verdict).toBe('superseded');
  });

  it('taken by random stretches, in any order and however often: every offset is in once and in order (P2)', () => {
    const stretch = fc.record({ first: fc.nat(40), length: fc.integer({ min: 1, max: 15 }), partition: fc.nat(1) });
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 60 }), (stretches) => {
        let peer = joined(undefined, 'store-a');
        const taken: number[][] = [[], []];
        for (const { first, length, partition } of stretches) {
          const place = batch(1, first, first + length, partition);
          const { verdict, from } = judge(peer, place);
          if (verdict !== 'taken') continue;
          for (let offset = Math.max(first, from); offset < place.next; offset++) taken[partition]!.push(offset);
          peer = advance(peer, place);
        }
        for (const [partition, offsets] of taken.entries()) {
          expect(offsets).toEqual(offsets.map((_, i) => i));
          expect(cursorOf(peer, TOPIC, partition)).toBe(offsets.length);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('of stores that come and go: only the newest one moves cursors, and an epoch never comes twice', () => {
    const step = fc.oneof(fc.record({ join: fc.nat(4) }), fc.record({ send: fc.nat(4), length: fc.integer({ min: 1, max: 5 }) }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let peer: Peer | undefined;
        const epochs = new Map<string, number>();
        const listened: string[] = [];
        for (const one of steps) {
          if ('join' in one) {
            const store = `store-${one.join}`;
            const next = join(peer, said(store))?.peer;
            expect(next === undefined).toBe(listened.includes(store) && listened.at(-1) !== store);
            if (next === undefined) continue;
            expect(epochs.get(store) ?? next.epoch).toBe(next.epoch);
            epochs.set(store, next.epoch);
            if (listened.at(-1) !== store) listened.push(store);
            peer = next;
          } else {
            const store = `store-${one.send}`;
            const epoch = epochs.get(store);
            if (epoch === undefined || peer === undefined) continue;
            const from = cursorOf(peer, TOPIC, 0);
            const { verdict } = judge(peer, batch(epoch, from, from + one.length));
            expect(verdict).toBe(peer.store_id === store ? 'taken' : 'superseded');
            if (verdict === 'taken') peer = advance(peer, batch(epoch, from, from + one.length));
          }
        }
        expect(new Set(epochs.values()).size).toBe(epochs.size);
      }),
      { numRuns: RUNS },
    );
  });
});
