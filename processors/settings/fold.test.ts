import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventOf } from '../../schemas/index.js';
import { baseValue, changesIn, effectiveOf, holdingVersion } from './effective.js';
import { newFold, take, versionOf } from './fold.js';
import { BASE, changeEvent, SERVERS, versionOfKey } from './testing/index.js';

const foldOf = (events: readonly EventOf<'dats.config.changed'>[]) => {
  const fold = newFold();
  const counted = events.filter((event) => take(fold, event) !== undefined);
  return { fold, counted };
};
const changed = (key: string, version: number, value: Record<string, unknown> | null) => changeEvent(versionOfKey(key, version, value));
const scheduling = (max: number) => ({ ...SERVERS.scheduling, max_running_per_project: max });

describe('a change of a setting', () => {
  it('counts where the key is the version that it replaces, and is void where another one was first', () => {
    const first = changed('scheduling', 1, scheduling(1));
    const late = changed('scheduling', 1, scheduling(2));
    const next = changed('scheduling', 2, scheduling(3));
    const { fold, counted } = foldOf([first, late, next, changed('scheduling', 5, scheduling(4))]);
    expect(counted).toEqual([first, next]);
    expect(fold.keys.get('scheduling')?.map(({ id, version, number }) => [id, version, number])).toEqual([
      [first.id, 1, 1],
      [next.id, 2, 2],
    ]);
  });

  it('is void where its version does not follow from what it replaces', () => {
    const { fold } = foldOf([changeEvent({ key: 'flags', version: 2, replaces: 0, value: {}, by: 'x' })]);
    expect(versionOf(fold, 'flags')).toBe(0);
  });

  it('counts whatever its key and value are: builds that know them count the same', () => {
    const { fold } = foldOf([changed('of a newer build', 1, { a: 1 }), changed('flags', 1, { unheard_of: true })]);
    expect(fold.changes.map(({ key }) => key)).toEqual(['of a newer build', 'flags']);
  });

  it('gives every reader the same versions, gapless, however many writers append at once', () => {
    const writes = fc.array(
      fc.record({ key: fc.constantFrom('flags', 'prices', 'prompts.generate'), seen: fc.nat(3), gap: fc.constantFrom(0, 0, 0, 1) }),
    );
    fc.assert(
      fc.property(writes, fc.array(fc.nat(40)), (wishes, cuts) => {
        const world = newFold();
        const log: EventOf<'dats.config.changed'>[] = [];
        for (const { key, seen, gap } of wishes) {
          // What a writer knows may be some changes old, or wrong.
          const replaces = Math.max(0, versionOf(world, key) - seen);
          const event = changeEvent({ key, version: replaces + 1 + gap, replaces, value: { n: log.length }, by: 'w' }, `e${log.length}`);
          log.push(event);
          take(world, event);
        }
        // Another reader takes the same records, whatever batches they come in.
        const other = newFold();
        for (let at = 0, i = 0; at < log.length; i++) {
          const size = Math.max(1, cuts[i % Math.max(1, cuts.length)] ?? 1);
          for (const event of log.slice(at, at + size)) take(other, event);
          at += size;
        }
        expect(other).toEqual(world);
        for (const versions of world.keys.values()) expect(versions.map(({ version }) => version)).toEqual(versions.map((_, i) => i + 1));
        expect(world.changes.map(({ number }) => number)).toEqual(world.changes.map((_, i) => i + 1));
      }),
    );
  });
});

describe('what holds', () => {
  it('is what servers.yaml says and what is built in until something is changed', () => {
    const effective = effectiveOf(BASE, newFold(), 0);
    expect(effective).toMatchObject({ version: 'd1', scheduling: SERVERS.scheduling, flags: SERVERS.flags, prompts: {} });
    expect(baseValue(BASE, 'prompts.analyse')).toEqual({ system: 'say' });
    expect(baseValue(BASE, 'prices')).toEqual(SERVERS.prices);
  });

  it('is the newest value of each key, under a version that counts all changes', () => {
    const { fold } = foldOf([
      changed('scheduling', 1, scheduling(1)),
      changed('prompts.generate', 1, { system: 'Be brief.' }),
      changed('scheduling', 2, scheduling(2)),
    ]);
    const effective = effectiveOf(BASE, fold, 3);
    expect([effective.version, effective.scheduling.max_running_per_project, effective.prompts]).toEqual([
      'd1+3',
      2,
      { generate: { system: 'Be brief.', version: 1 } },
    ]);
    expect(changesIn(effective.version)).toBe(3);
    expect(changesIn('d1')).toBe(0);
  });

  it('can be asked for any earlier number of changes', () => {
    const { fold } = foldOf([
      changed('scheduling', 1, scheduling(1)),
      changed('flags', 1, { hedging: false }),
      changed('scheduling', 2, scheduling(2)),
    ]);
    const then = [0, 1, 2, 3].map((changes) => effectiveOf(BASE, fold, changes));
    expect(then.map(({ scheduling: { max_running_per_project } }) => max_running_per_project)).toEqual([10, 1, 1, 2]);
    expect(then.map(({ flags }) => flags.hedging)).toEqual([true, true, false, false]);
  });

  it('goes back to the first value with null', () => {
    const { fold } = foldOf([
      changed('scheduling', 1, scheduling(1)),
      changed('scheduling', 2, null),
      changed('prompts.generate', 1, { system: 'Be brief.' }),
      changed('prompts.generate', 2, null),
    ]);
    expect(effectiveOf(BASE, fold, 4)).toMatchObject({ version: 'd1+4', scheduling: SERVERS.scheduling, prompts: {} });
    expect(holdingVersion(fold, 'scheduling')).toBe(2);
  });

  it('is the last value that fits where a newer build wrote the newest one', () => {
    const { fold } = foldOf([
      changed('scheduling', 1, scheduling(7)),
      changed('scheduling', 2, { ...scheduling(8), lanes: 3 }),
      changed('flags', 1, { teleport: true }),
    ]);
    expect(effectiveOf(BASE, fold, 3)).toMatchObject({ version: 'd1+3', scheduling: scheduling(7), flags: SERVERS.flags });
    expect([holdingVersion(fold, 'scheduling'), holdingVersion(fold, 'flags')]).toEqual([1, 0]);
  });
});
