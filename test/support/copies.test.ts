import { describe, expect, it } from 'vitest';
import { type DatsEvent, LIFECYCLE } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';
import { copyViolations } from './copies.js';

const record = (offset: number, over: Partial<Recorded> = {}): Recorded => ({
  topic: LIFECYCLE,
  partition: 0,
  offset,
  key: 'e',
  headers: { id: `r${offset}` },
  value: Buffer.from(`${offset}`),
  type: 'dats.task.created' satisfies DatsEvent['type'],
  timestamp: 0,
  ...over,
});
const copy = (offset: number, over: Partial<Recorded> = {}, epoch = 1, node = 'e'): Recorded =>
  record(100 + offset, {
    value: Buffer.from(`${offset}`),
    ...over,
    headers: { id: `r${offset}`, ...over.headers, linkedfrom: `${epoch}/p0-${offset}/${node}` },
  });
const judged = (edge: readonly Recorded[], core: readonly Recorded[]) =>
  copyViolations('e', [{ epoch: 1, records: edge }], core, (key) => key === 'e');

describe('copies', () => {
  const edge = [
    record(0),
    record(1),
    record(2, { key: 'other' }),
    record(3, { headers: { id: 'c', linkedfrom: '1/p0-4/core' } }),
    record(4),
  ];
  const whole = [copy(0), copy(1), copy(4)];

  it('that are all there, once and in order, are well', () => {
    expect(judged(edge, whole)).toEqual([]);
    expect(judged(edge, [record(0, { key: 'own' }), ...whole, copy(7, {}, 1, 'another')])).toEqual([]);
  });

  it.each([
    ['missing', [copy(0), copy(4)], /^missing: 1\/dats.lifecycle\/0\/1/],
    ['there twice', [copy(0), copy(1), copy(1), copy(4)], /^doubled/],
    ['out of order', [copy(1), copy(0), copy(4)], /^out of order/],
    ['changed in their value', [copy(0), copy(1, { value: Buffer.from('x') }), copy(4)], /^changed/],
    ['changed in a header', [copy(0), copy(1, { headers: { more: 'x' } }), copy(4)], /^changed/],
    ['under another project', [copy(0), copy(1, { key: 'f' }), copy(4)], /^changed/],
    ['of another life', [copy(0), copy(1), copy(4, {}, 2)], /^missing/],
    ["not the node's own to say", [copy(0), copy(1), copy(2, { key: 'other' }), copy(4)], /^from nowhere/],
  ])('that are %s are found', (_what, core, expected) => {
    expect(judged(edge, core)[0]).toMatch(expected);
  });

  it('of a restored store count from where it went on', () => {
    const lives = [
      { epoch: 1, records: edge },
      { epoch: 2, records: [...edge, record(5)], from: { [`${LIFECYCLE}/0`]: 4 } },
    ];
    expect(copyViolations('e', lives, [...whole, copy(4, {}, 2), copy(5, {}, 2)], () => true)).toMatchObject([/missing/]);
    expect(copyViolations('e', lives, [...whole, copy(4, {}, 2), copy(5, {}, 2)], (key) => key === 'e')).toEqual([]);
    expect(copyViolations('e', lives, [...whole, copy(1, {}, 2), copy(4, {}, 2), copy(5, {}, 2)], (key) => key === 'e')[0]).toMatch(
      /^from nowhere/,
    );
  });
});
