import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH_ENCODING, type LinkBatch } from '../../schemas/index.js';
import { type PackedRecord, packRecords, unpackRecords } from './index.js';

const RUNS = 200;
const zip = promisify(gzip);

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\n', '\uFEFFbom', '\u2028', '"\\', 'null'),
);
const value = fc.oneof(
  text,
  fc.uint8Array({ maxLength: 64 }),
  text.map((one) => new Uint8Array(Buffer.from(one))),
);
const records = fc
  .array(fc.record({ gap: fc.nat(3), key: text, headers: fc.dictionary(text, text, { maxKeys: 4 }), value }), { maxLength: 30 })
  .map((list) => {
    let offset = -1;
    return list.map(({ gap, ...rest }): PackedRecord => {
      offset += 1 + gap;
      return { offset, ...rest };
    });
  });

const batchOf = async (list: readonly PackedRecord[], over: Partial<LinkBatch> = {}): Promise<LinkBatch> => ({
  node_id: 'edge-1',
  epoch: 1,
  topic: 'dats.lifecycle',
  partition: 0,
  first: 0,
  next: (list.at(-1)?.offset ?? 0) + 1,
  ...(await packRecords(list)),
  ...over,
});
/** As a log keeps it. */
const stored = ({ offset, key, headers, value }: PackedRecord) => ({
  offset,
  key,
  headers: { ...headers },
  value: Buffer.from(value as Uint8Array).toString('hex'),
});
const linesOf = async (lines: readonly unknown[]): Promise<string> =>
  (await zip(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))).toString('base64');

const one = (offset: number, value: PackedRecord['value'] = '{}'): PackedRecord => ({
  offset,
  key: 'p',
  headers: { id: `e${offset}` },
  value,
});

describe('a batch', () => {
  it('gives back what was packed, byte for byte, after a way through JSON (B1)', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const sent = JSON.parse(JSON.stringify(await batchOf(list))) as LinkBatch;
        expect((await unpackRecords(sent)).map(stored)).toEqual(list.map(stored));
        expect(sent.count).toBe(list.length);
      }),
      { numRuns: RUNS },
    );
  });

  it('that was damaged anywhere is refused or is what it was', async () => {
    const list = [one(0), one(1, Uint8Array.of(0, 255, 254)), one(5, 'x'.repeat(500))];
    const whole = await batchOf(list);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.records.length - 1), fc.constantFrom('A', 'z', '0', '/', ' ', ''), async (at, letter) => {
        const damaged = { ...whole, records: whole.records.slice(0, at) + letter + whole.records.slice(at + 1) };
        const got = await unpackRecords(damaged).catch((error: unknown) => error);
        if (got instanceof Error) expect(got).toMatchObject({ kind: 'terminal', code: 'bad_batch' });
        else expect((got as readonly PackedRecord[]).map(stored)).toEqual(list.map(stored));
      }),
      { numRuns: RUNS },
    );
  });

  it.each<readonly [string, () => Promise<LinkBatch>]>([
    ['says another number of records', () => batchOf([one(0), one(1)], { count: 1 })],
    ['holds an offset below its first', () => batchOf([one(3), one(4)], { first: 4 })],
    ['holds an offset at its end', () => batchOf([one(3), one(4)], { next: 4 })],
    ['holds an offset twice', async () => batchOf([one(3), one(3)])],
    ['goes backwards', async () => batchOf([one(4), one(3)], { next: 9 })],
    ['is no gzip', () => batchOf([], { records: 'bm8gZ3ppcA==' })],
    ['is no JSON', async () => batchOf([], { records: (await zip('[1,')).toString('base64') })],
    ['holds no record', async () => batchOf([], { records: await linesOf([null]), count: 1 })],
    ['holds a record without a value', async () => batchOf([], { records: await linesOf([[0, 'p', {}]]), count: 1 })],
    ['holds a record whose value is cut off', async () => batchOf([], { records: await linesOf([[0, 'p', {}, 1]]), count: 1 })],
    ['holds a record of less than nothing', async () => batchOf([], { records: await linesOf([[0, 'p', {}, -3]]), count: 1 })],
    ['ends in the middle of a line', async () => batchOf([], { records: (await zip('[0,"p",{},0]')).toString('base64'), count: 1 })],
    ['holds a header that is no text', async () => batchOf([], { records: await linesOf([[0, 'p', { id: 7 }, 0]]), count: 1 })],
    ['holds an offset that is no number', async () => batchOf([], { records: await linesOf([['0', 'p', {}, 0]]), count: 1 })],
    ['grows beyond all measure', async () => batchOf([], { records: (await zip(Buffer.alloc(80 * 1024 * 1024))).toString('base64') })],
    ['holds a record that no log takes', () => batchOf([one(0, 'x'.repeat(8 * 1024 * 1024))])],
  ])('that %s is refused as a whole (B2)', async (_what, make) => {
    await expect(unpackRecords(await make())).rejects.toMatchObject({ kind: 'terminal', code: 'bad_batch' });
  });

  it('of nothing holds nothing', async () => {
    const batch = await batchOf([], { encoding: BATCH_ENCODING, first: 4, next: 9 });
    expect([batch.count, await unpackRecords(batch)]).toEqual([0, []]);
  });
});
