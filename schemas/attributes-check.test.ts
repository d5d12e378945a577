import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areAttributes } from './attributes-check.js';
import { attributesSchema } from './envelope.js';

const text = (min: number, max: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }),
    fc.integer({ min, max }).map((length) => 'x'.repeat(length)),
  );
const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const valid = {
  specversion: fc.constant('1.0'),
  datacontenttype: fc.constant('application/json'),
  id: text(1, 64),
  source: text(1, 256),
  type: text(1, 128),
  time: fc.integer({ min: 20, max: 40 }).map((length) => '2'.repeat(length)),
  subject: text(1, 256),
  dataschema: text(1, 128),
  projectid: text(1, 128),
  correlationid: text(1, 128),
  actor: text(1, 128),
  configversion: text(1, 60),
  causationid: text(1, 64),
  traceparent: fc.tuple(hex(32), hex(16), hex(2)).map((parts) => `00-${parts.join('-')}`),
  afteroffset: fc.oneof(fc.integer().map(String), fc.maxSafeInteger().map(String)),
};
const OPTIONAL = ['causationid', 'traceparent', 'afteroffset'];
const attributes = fc.record(valid, { requiredKeys: Object.keys(valid).filter((name) => !OPTIONAL.includes(name)) as never });

/** Values at and beyond every limit there is, and what is no text. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, 1, true, {}, [], '', '1.0', 'application/json', '0', '-', '12\n', '1234567890123456'),
  fc.constantFrom(19, 20, 40, 41, 64, 65, 128, 129, 256, 257).map((length) => 'x'.repeat(length)),
  fc.constantFrom(
    `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`,
    `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01`,
    `01-${'1'.repeat(32)}-${'1'.repeat(16)}-01`,
  ),
  fc.string(),
);
const change = fc.record({ name: fc.constantFrom(...Object.keys(valid), 'dlq.retried_from'), value: odd, remove: fc.boolean() });

describe('the check of the attributes', () => {
  it('accepts exactly what the schema accepts', () => {
    fc.assert(
      fc.property(attributes, fc.array(change, { maxLength: 2 }), (headers, changes) => {
        const changed: Record<string, unknown> = { ...headers };
        for (const { name, value, remove } of changes) {
          if (remove) delete changed[name];
          else changed[name] = value;
        }
        expect(areAttributes(changed)).toBe(attributesSchema.safeParse(changed).success);
      }),
      { numRuns: 2_000 },
    );
  });
});
