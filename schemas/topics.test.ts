import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derivedId, formatPosition, isSafePath, isUuid, newId, parsePosition, partitionOf } from './index.js';

describe('partitionOf', () => {
  it('never changes: the order of every log depends on it', () => {
    expect(
      ['default', 'demo', 'project-0', 'project-1', 'ä', ''].map((key) => [partitionOf(key, 4), partitionOf(key, 12)]),
    ).toMatchInlineSnapshot(`
      [
        [
          3,
          11,
        ],
        [
          3,
          7,
        ],
        [
          1,
          5,
        ],
        [
          0,
          8,
        ],
        [
          3,
          11,
        ],
        [
          1,
          1,
        ],
      ]
    `);
  });

  it('spreads keys evenly', () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 8_000; i++) counts[partitionOf(`project-${i}`, 8)]!++;
    for (const count of counts) expect(count).toBeGreaterThan(850);
  });
});

describe('ids and positions', () => {
  it('derived ids never change: ids on old logs depend on them', () => {
    expect([derivedId('a'), derivedId('0199-t', 1, 'generate'), derivedId('ä😀', 2)]).toEqual([
      'b22552dd-ec67-576e-bc6f-2e23692f41b7',
      '2bad73b1-b845-5105-b8c8-3b1ab36e32d8',
      'dc84f1a0-fb57-57bd-87ab-54516be645ac',
    ]);
  });

  it('new ids are version 7, all different, and sort by the time they were made', () => {
    const ids = Array.from({ length: 5_000 }, newId);
    expect(new Set(ids).size).toBe(5_000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const times = ids.map((id) => id.slice(0, 13));
    expect(times).toEqual([...times].sort());
  });

  it('derived ids are the same for the same parts and differ where parts differ', () => {
    expect(derivedId('a', 1)).toBe(derivedId('a', 1));
    expect(derivedId('a', 'b')).not.toBe(derivedId('ab'));
    expect(isUuid(derivedId('a')) && isUuid(newId())).toBe(true);
  });

  it('a position reads back as it was written, and nothing else is one', () => {
    fc.assert(
      fc.property(fc.nat(99_999), fc.nat(2 ** 40), (partition, offset) => {
        expect(parsePosition(formatPosition({ partition, offset }))).toEqual({ partition, offset });
      }),
    );
    for (const text of ['', 'p1', '1-2', 'p1-', 'p-1-2', 'p1-2x', 'p1--2']) expect(parsePosition(text)).toBeUndefined();
  });
});

describe('isSafePath', () => {
  it('takes relative paths inside the folder only', () => {
    for (const path of ['a', 'src/a.py', 'a..b', '.env', 'ä/ö.txt']) expect(isSafePath(path), path).toBe(true);
    for (const path of ['', '/etc/passwd', '../a', 'a/../b', 'a/..', './a', 'a//b', 'a/', 'C:/x', 'a\\b', 'a\nb', 'a\u0000'])
      expect(isSafePath(path), path).toBe(false);
  });
});
