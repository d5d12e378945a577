import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derivedId } from '../../../schemas/index.js';
import { idAt, internId, numberOfId, openIdIndex } from './id-index.js';

/** Ids as they come within a millisecond: only the last digits differ. */
const timed = (i: number): string => `019ac1d2-7f00-7000-8000-${i.toString(16).padStart(12, '0')}`;

describe('an index of ids', () => {
  it.each([
    ['derived', (i: number) => derivedId('id-index', i)],
    ['made one after the other', timed],
    ['of another kind', (i: number) => `artifact ${i}`],
  ])('gives ids that are %s the numbers from 0 on, and each back', (_, idOf) => {
    const index = openIdIndex();
    const count = 20_000;
    for (let i = 0; i < count; i++) expect(internId(index, idOf(i))).toBe(i);
    expect(index.size).toBe(count);
    for (let i = 0; i < count; i += 7) {
      expect(numberOfId(index, idOf(i))).toBe(i);
      expect(internId(index, idOf(i))).toBe(i);
      expect(idAt(index, i)).toBe(idOf(i));
    }
    expect(numberOfId(index, idOf(count))).toBe(-1);
    expect(index.size).toBe(count);
  });

  it('tells apart what only looks alike, and gives back the very text', () => {
    const uuid = '0a0b0c0d-0000-4000-8000-00000000000f';
    const alike = [uuid, uuid.toUpperCase(), uuid.replaceAll('-', ''), uuid.replace('f', 'g'), uuid.replace('-', '0'), `${uuid} `];
    const texts = [...alike, '00000000-0000-0000-0000-000000000000', '', '0', 'ä'.repeat(36), `${uuid.slice(0, 35)}\u{130f}`];
    const index = openIdIndex();
    expect(texts.map((text) => internId(index, text))).toEqual(texts.map((_, i) => i));
    expect(texts.map((text) => numberOfId(index, text))).toEqual(texts.map((_, i) => i));
    expect(texts.map((_, i) => idAt(index, i))).toEqual(texts);
  });

  it('gives back any text that it was given', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 64 }), fc.uuid())), (ids) => {
        const index = openIdIndex();
        for (const id of ids) expect(idAt(index, internId(index, id))).toBe(id);
        expect(index.size).toBe(new Set(ids).size);
      }),
    );
  });

  it('refuses a number that it never gave', () => {
    const index = openIdIndex();
    internId(index, timed(0));
    for (const number of [-1, 1, Number.NaN])
      expect(() => idAt(index, number)).toThrowError(expect.objectContaining({ code: 'no_such_index' }));
  });
});
