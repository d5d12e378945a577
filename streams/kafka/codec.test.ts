// The codec over real bytes: what is written is encoded and decoded by the client, as on its way through a broker.
import { createRecordsBatch, Reader, type RecordsBatch, readRecordsBatches } from '@platformatic/kafka';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import type { Outgoing } from '../log.js';
import { text } from '../testing/log-driver.js';
import { FetchedRecord, type Message, messageOf, recordsIn, type SchemaIds, sizeOf } from './codec.js';

const HERE = { topic: LIFECYCLE, partition: 1 } as const;
const SCHEMA = 'urn:dats:task.created:1';
const IDS: SchemaIds = new Map([[SCHEMA, 0x01020304]]);
const seed = Date.now() % 0x7fffffff;

const batchOf = (messages: readonly Message[]): RecordsBatch =>
  readRecordsBatches(Reader.from(createRecordsBatch(messages.map((message) => ({ ...message })) as never).buffer))[0]!;
const written = (headers: Record<string, string>, value: Outgoing['value'] = '{}', ids?: SchemaIds, key = 'key'): Message =>
  messageOf({ topic: LIFECYCLE, key, headers, value }, 'physical', 1, 1_000n, ids);
const readBack = (message: Message): FetchedRecord => recordsIn(HERE, 0, [batchOf([message])], []).records[0]!;

type Foreign = readonly (readonly [string, string | null])[];
/** A record of somebody else, with headers that we would not write. */
const foreign = (headers: Foreign, value: Buffer | null = Buffer.from('{}')): FetchedRecord => {
  const wire = headers.map(([name, said]) => [Buffer.from(name), said === null ? null : Buffer.from(said)] as [Buffer, Buffer | null]);
  return new FetchedRecord(LIFECYCLE, 1, 0, 0, {
    length: 10,
    attributes: 0,
    timestampDelta: 0n,
    offsetDelta: 0,
    key: Buffer.from('key'),
    value,
    headers: wire,
  });
};
const wireNames = ({ headers }: Message): string[] => [...headers.keys()].map((name) => name.toString());

const attribute = fc.stringMatching(/^[a-z0-9]{1,20}$/);
/** Names that somebody else may give a header; of `ce_datacontenttype` the binding says that there is none. */
const foreignName = fc
  .oneof(
    attribute,
    attribute.map((name) => `ce_${name}`),
    attribute.map((name) => `header.${name}`),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('content-type', 'ce_', 'ce_ID', 'ce_too-long-for-an-attribute', 'header.', 'header.header.x', 'größe 漢字'),
  )
  .filter((name) => name !== 'ce_datacontenttype' && name !== '__proto__');

describe('headers', () => {
  test('attributes are written as the binding of CloudEvents says, and other headers under their own names', () => {
    const names = ['id', 'type', 'projectid', 'datacontenttype', 'Not-An-Attribute', 'größe'];
    expect(wireNames(written(Object.fromEntries(names.map((name) => [name, 'x']))))).toEqual([
      'ce_id',
      'ce_type',
      'ce_projectid',
      'content-type',
      'Not-An-Attribute',
      'größe',
    ]);
  });

  test('a foreign header that only looks like an attribute is not taken for one', () => {
    const record = foreign([
      ['id', 'theirs'],
      ['type', 'theirs'],
      ['ce_id', 'the event'],
      ['header.id', 'prefixed'],
      ['content-type', 'text/plain'],
    ]);
    expect(record.headers).toEqual({
      'header.id': 'theirs',
      'header.type': 'theirs',
      id: 'the event',
      'header.header.id': 'prefixed',
      datacontenttype: 'text/plain',
    });
    expect(record.type).toBe('');
  });

  test('a header without a value is empty, and of two with one name the last counts', () => {
    const record = foreign([
      ['none', null],
      ['ce_type', 'first'],
      ['ce_type', 'last'],
    ]);
    expect(record.headers).toEqual({ 'header.none': '', type: 'last' });
    expect(record.type).toBe('last');
  });

  test(`whatever attributes an event has come back the same (seed ${seed})`, () => {
    const events = fc.dictionary(attribute, fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(events, fc.string({ unit: 'grapheme' }), (headers, key) => {
        const record = readBack(written(headers, '{}', undefined, key));
        expect(record.headers).toEqual({ ...headers });
        expect(record.type).toBe(headers['type'] ?? '');
        expect(record.key).toBe(key);
      }),
      { seed },
    );
  });

  test(`foreign headers are written back as they were, and come back the same (seed ${seed})`, () => {
    const records = fc.uniqueArray(fc.tuple(foreignName, fc.string({ unit: 'grapheme' })), { selector: ([name]) => name });
    fc.assert(
      fc.property(records, (headers) => {
        const read = foreign(headers);
        const again = written({ ...read.headers });
        expect(new Map([...again.headers].map(([name, value]) => [name.toString(), value.toString()]))).toEqual(new Map(headers));
        expect(readBack(again).headers).toEqual({ ...read.headers });
      }),
      { seed },
    );
  });

  test('more names than are remembered are translated all the same', () => {
    const names = Array.from({ length: 1_500 }, (_, i) => `made-up-${i}`);
    const headers = Object.fromEntries(names.map((name, i) => [name, String(i)]));
    expect(readBack(written({ ...headers, id: 'x' })).headers).toEqual({ ...headers, id: 'x' });
  });
});

describe('values', () => {
  test('an event of a published schema is framed with its id, and read without the frame', () => {
    const message = written({ type: 'dats.task.created', dataschema: SCHEMA }, '{"größe":1}', IDS);
    expect(message.value!.subarray(0, 5)).toEqual(Buffer.of(0, 1, 2, 3, 4));
    expect(message.value!.subarray(5).toString()).toBe('{"größe":1}');
    expect(text(readBack(message).value)).toBe('{"größe":1}');
  });

  test('without a registry, and for a schema that it does not have, a value is written as it is', () => {
    for (const message of [
      written({ dataschema: SCHEMA }, '{}'),
      written({ dataschema: 'urn:other:1' }, '{}', IDS),
      written({}, '{}', IDS),
    ]) {
      expect(message.value!.toString()).toBe('{}');
      expect(text(readBack(message).value)).toBe('{}');
    }
  });

  test('a frame around what this build does not know is left to whoever does', () => {
    const bytes = Buffer.from([0, 0, 0, 0, 9, 123, 125]);
    expect(Buffer.from(foreign([['ce_dataschema', 'urn:other:1']], bytes).value)).toEqual(bytes);
    expect(Buffer.from(foreign([], bytes).value)).toEqual(bytes);
    expect(text(foreign([['ce_dataschema', SCHEMA]], bytes).value)).toBe('{}');
  });

  test('part of a larger buffer is written, not all of it', () => {
    const large = Buffer.from('before{}after');
    expect(text(readBack(written({}, new Uint8Array(large.buffer, large.byteOffset + 6, 2))).value)).toBe('{}');
  });

  test('an empty value is not null, which would delete its key', () => {
    const record = readBack(written({}, ''));
    expect(record.value).toHaveLength(0);
    expect(record.deleted).toBe(false);
    expect(foreign([], null)).toMatchObject({ deleted: true, value: Buffer.alloc(0) });
  });

  test('the size that limits are checked with is close to what is written', () => {
    const message = written({ type: 'dats.task.created', größe: 'x'.repeat(500) }, 'é'.repeat(10_000));
    const { bytes } = readBack(message);
    expect(Math.abs(sizeOf(message) - bytes)).toBeLessThan(64);
  });
});

const PLAIN = -1n;
const CONTROL = 0x30;
const TRANSACTIONAL = 0x10;

/** A batch as a leader gives it: `offsets` are those of its records, and it takes all from the first to `last`. */
const given = (
  producerId: bigint,
  offsets: readonly number[],
  { first = offsets[0]!, last = offsets.at(-1)!, attributes = 0 } = {},
): RecordsBatch => {
  const messages = offsets.map((offset) => ({ ...written({ type: `r${offset}` }), timestamp: 1_000n + BigInt(offset) }));
  const batch = batchOf(messages);
  return {
    ...batch,
    firstOffset: BigInt(first),
    lastOffsetDelta: last - first,
    producerId,
    attributes,
    records: batch.records.map((record, i) => ({ ...record, offsetDelta: offsets[i]! - first })),
  };
};
const inTransaction = (producerId: bigint, ...offsets: number[]): RecordsBatch => given(producerId, offsets, { attributes: TRANSACTIONAL });
const marker = (producerId: bigint, offset: number): RecordsBatch => given(producerId, [offset], { attributes: CONTROL });
const offsetsIn = (
  from: number,
  batches: readonly RecordsBatch[],
  aborted: readonly { producerId: bigint; firstOffset: bigint }[] = [],
) => {
  const { records, next } = recordsIn(HERE, from, batches, aborted);
  for (const { offset, type, timestamp } of records) expect([type, timestamp]).toEqual([`r${offset}`, 1_000 + offset]);
  return { offsets: records.map(({ offset }) => offset), next };
};

describe('what a fetch brought', () => {
  test('nothing brings nobody further', () => {
    expect(offsetsIn(7, [])).toEqual({ offsets: [], next: 7 });
  });

  test('a batch that begins before the offset that was asked for gives the rest of it', () => {
    expect(offsetsIn(12, [given(PLAIN, [10, 11, 12, 13])])).toEqual({ offsets: [12, 13], next: 14 });
    expect(offsetsIn(14, [given(PLAIN, [10, 11, 12, 13])])).toEqual({ offsets: [], next: 14 });
  });

  test('what compaction has removed is a gap, and a batch with nothing left in it is passed over', () => {
    const batches = [given(PLAIN, [3, 7], { first: 1, last: 9 }), { ...given(PLAIN, [10]), lastOffsetDelta: 4, records: [] }];
    expect(offsetsIn(0, batches)).toEqual({ offsets: [3, 7], next: 15 });
  });

  test('the end of a transaction is no record, and what was committed is there', () => {
    expect(offsetsIn(0, [inTransaction(5n, 0, 1), marker(5n, 2), given(PLAIN, [3])])).toEqual({ offsets: [0, 1, 3], next: 4 });
    expect(offsetsIn(2, [marker(5n, 2)])).toEqual({ offsets: [], next: 3 });
  });

  test('an aborted transaction is left out, and neither others in between nor what its producer writes later', () => {
    const batches = [
      inTransaction(5n, 0),
      given(PLAIN, [1]),
      inTransaction(6n, 2),
      inTransaction(5n, 3),
      marker(6n, 4),
      marker(5n, 5),
      inTransaction(5n, 6),
      marker(5n, 7),
      inTransaction(5n, 8),
      marker(5n, 9),
    ];
    const aborted = [
      { producerId: 5n, firstOffset: 8n },
      { producerId: 5n, firstOffset: 0n },
    ];
    expect(offsetsIn(0, batches, aborted)).toEqual({ offsets: [1, 2, 6], next: 10 });
    expect(offsetsIn(3, batches.slice(3), aborted)).toEqual({ offsets: [6], next: 10 });
  });

  test(`random transactions, read from anywhere: what is committed is there once and in order, and nothing else (seed ${seed})`, () => {
    const step = fc.record({ producer: fc.integer({ min: 0, max: 3 }), what: fc.constantFrom('data', 'data', 'commit', 'abort') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), fc.nat(40), fc.integer({ min: 1, max: 3 }), (steps, from, size) => {
        const { batches, committed, aborted, end } = played(
          [...steps, ...[1, 2, 3].map((producer) => ({ producer, what: 'commit' }))],
          size,
        );
        const given = batches.filter(({ last }) => last >= from).map(({ batch }) => batch);
        const told = aborted.filter(({ last }) => last >= from);
        expect(offsetsIn(from, given, told)).toEqual({ offsets: committed.filter((offset) => offset >= from), next: Math.max(from, end) });
      }),
      { seed },
    );
  });
});

/** Carries steps out on a log: producer 0 has no transactions, the others have one at a time. */
const played = (steps: readonly { readonly producer: number; readonly what: string }[], size: number) => {
  const batches: { readonly batch: RecordsBatch; readonly last: number }[] = [];
  const aborted: { readonly producerId: bigint; readonly firstOffset: bigint; readonly last: number }[] = [];
  const committed: number[] = [];
  const open = new Map<number, number[]>();
  let end = 0;
  for (const { producer, what } of steps) {
    const id = BigInt(producer + 100);
    if (what === 'data') {
      const offsets = Array.from({ length: size }, (_, i) => end + i);
      end += size;
      batches.push({ batch: producer === 0 ? given(PLAIN, offsets) : inTransaction(id, ...offsets), last: end - 1 });
      if (producer === 0) committed.push(...offsets);
      else open.set(producer, [...(open.get(producer) ?? []), ...offsets]);
      continue;
    }
    const offsets = open.get(producer);
    if (offsets === undefined) continue;
    open.delete(producer);
    if (what === 'commit') committed.push(...offsets);
    else aborted.push({ producerId: id, firstOffset: BigInt(offsets[0]!), last: end });
    batches.push({ batch: marker(id, end), last: end });
    end += 1;
  }
  return { batches, aborted, committed: committed.sort((a, b) => a - b), end };
};
