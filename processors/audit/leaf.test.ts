import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalOf, DEPTH_LIMIT } from './canonical.js';
import { auditEventOf, leafOfEvent, leafOfRecord } from './leaf.js';
import { headersOf } from './testing/histories.js';

const sha256 = (bytes: string | Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

describe('canonical text', () => {
  test('is that of RFC 8785: its own example', () => {
    const value = JSON.parse(
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    );
    expect(canonicalOf(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    expect(canonicalOf(JSON.parse('{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}'))).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    );
  });

  test('is what another implementation writes, of any JSON; where that refuses, there is none', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), (any) => {
        const value: unknown = JSON.parse(JSON.stringify(any));
        let theirs: string | undefined;
        try {
          theirs = canonicalize(value);
        } catch {
          theirs = undefined;
        }
        expect(canonicalOf(value)).toBe(theirs);
      }),
    );
  });

  test('is not there for half a pair, a number above the range, or what is too deep', () => {
    const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
    expect(canonicalOf(nested(DEPTH_LIMIT))).toBeDefined();
    expect(canonicalOf(nested(DEPTH_LIMIT + 1))).toBeUndefined();
    expect(canonicalOf(JSON.parse('{"a":["\\ud800"]}'))).toBeUndefined();
    expect(canonicalOf(JSON.parse('{"\\udc00":1}'))).toBeUndefined();
    expect(canonicalOf(JSON.parse('{"a":"\\\\ud800"}'))).toBe('{"a":"\\\\ud800"}');
    expect(canonicalOf(JSON.parse('1e999'))).toBeUndefined();
    expect(canonicalOf(JSON.parse('{"__proto__":1,"a":-0}'))).toBe('{"__proto__":1,"a":0}');
  });
});

describe('a leaf', () => {
  test('is made as the README says', () => {
    const headers = { type: 't', id: '1' };
    const digest = sha256('{"a":[1,"ö"],"b":2}').toString('hex');
    const text = `{"datadigest":"sha256:${digest}","id":"1","type":"t"}`;
    expect(leafOfRecord({ headers, value: '{"b": 2.0, "a": [1, "\\u00f6"]}' })).toEqual(sha256(`\0${text}`));
    const raw = Buffer.from([0xff, 0]);
    const poison = `{"id":"1","rawdigest":"sha256:${sha256(raw).toString('hex')}","type":"t"}`;
    expect(leafOfRecord({ headers, value: raw })).toEqual(sha256(`\0${poison}`));
  });

  test('is the same of text and of bytes, before and after an export, whatever the record is', () => {
    const values = fc.oneof(
      fc.json({ maxDepth: 4, stringUnit: 'binary' }),
      fc.string(),
      fc.uint8Array(),
      fc.constantFrom('', '"\\ud800"', '1e999', '{"a":1}\n', '\ufeff{}', '['.repeat(100_000), '-0'),
    );
    const names = fc.constantFrom('a', 'datadigest', '_rawdigest', '__proto__', 'toJSON', 'ünï');
    fc.assert(
      fc.property(values, fc.array(fc.tuple(names, fc.string({ unit: 'grapheme' }))), (value, more) => {
        const headers = headersOf(1, Object.fromEntries(more));
        const bytes = typeof value === 'string' ? Buffer.from(value) : value;
        const leaf = leafOfRecord({ headers, value: bytes });
        if (typeof value === 'string') expect(leafOfRecord({ headers, value })).toEqual(leaf);
        const exported = JSON.stringify(auditEventOf({ offset: 3, headers, value: bytes }));
        expect(leafOfEvent(JSON.parse(exported))).toEqual(leaf);
      }),
    );
  });

  test('of a foreign header that is called like a digest is another one with every value of that header', () => {
    const leaf = (headers: Record<string, string>) => leafOfRecord({ headers, value: '1' }).toString('hex');
    const all = [{}, { datadigest: '1' }, { datadigest: '2' }, { _datadigest: '1' }, { rawdigest: '1' }];
    expect(new Set(all.map((headers) => leaf(headers as Record<string, string>))).size).toBe(all.length);
  });
});
