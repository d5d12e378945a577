import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitRow, fitTime, KINDS, timeOfAppend } from './fit.js';
import type { EventRow } from './row.js';

const EVENTS_SQL = readFileSync(new URL('../../../deploy/clickhouse/001_events.sql', import.meta.url), 'utf8');

const KIND_OF_TYPE: Readonly<Record<string, string>> = {
  String: 'text',
  'LowCardinality(String)': 'text',
  'Array(String)': 'texts',
  'Array(LowCardinality(String))': 'texts',
  "DateTime64(3, 'UTC')": 'time',
  UInt16: 'u16',
  UInt64: 'u64',
  'Array(UInt64)': 'u64s',
  Float64: 'real',
  'Nullable(Float64)': 'real',
  'Decimal(18, 9)': 'money',
  Bool: 'flag',
};

describe('a row that the table takes', () => {
  it('knows the kind of every column of the table, and no other column', () => {
    const columns = [...EVENTS_SQL.matchAll(/^ {4}(\w+) ((?:\w+\([^\n]*?\)+|\w+))(?: CODEC\(\S+\))?,?$/gm)]
      .filter(([, name]) => name !== 'INDEX')
      .map(([, name, type]) => [name!, KIND_OF_TYPE[type!]] as const);
    expect(columns.length).toBeGreaterThan(55);
    expect(KINDS).toEqual(Object.fromEntries(columns));
  });

  it.each([
    ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T01:30:00+02:00', '2025-12-31T23:30:00.000Z'],
    ['2026-01-01t00:00:00z', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T00:00:00.123456789Z', '2026-01-01T00:00:00.123Z'],
    ['2026-99-01T00:00:00.000Z', undefined],
    ['1969-12-31T23:59:59.999Z', undefined],
    ['2106-01-01T00:00:00.000Z', undefined],
    ['a long time ago, far far away', undefined],
    [undefined, undefined],
  ])('an event of %s is at %s', (said, time) => expect(fitTime(said)).toBe(time));

  it('an append at an impossible instant is put at the nearest that a table can hold', () => {
    expect([-1, 1e18, Number.NaN].map(timeOfAppend)).toEqual([
      '1970-01-01T00:00:00.000Z',
      '2105-12-31T23:59:59.999Z',
      '1970-01-01T00:00:00.000Z',
    ]);
  });

  it('half a character is replaced, in lists too; whole ones stay', () => {
    const row = fitRow({ error_message: 'cut \ud83d', id: '\ude00x', subject: '😀', reasons: ['\ud83d', '😀'] });
    expect(row).toEqual({ error_message: 'cut \ufffd', id: '\ufffdx', subject: '😀', reasons: ['\ufffd', '😀'] });
  });

  it('numbers that their column has no room for are cut to what it holds', () => {
    const row = fitRow({
      attempt: 70_000,
      offset: 1.5,
      input_tokens: -1,
      duration_ms: Number.POSITIVE_INFINITY,
      cost_usd: '1e+22',
      score: Number.NaN,
    });
    expect(row).toEqual({ attempt: 65_535, offset: 1, input_tokens: 0, duration_ms: Number.MAX_VALUE, cost_usd: '999999999.000000000' });
  });

  it('whatever a column is given, it is left out or of its kind', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(KINDS)), fc.anything(), (column, value) => {
        const fitted = fitRow({ [column]: value } as EventRow)[column];
        if (fitted === undefined) return;
        const parsed = JSON.parse(JSON.stringify(fitted));
        const kind = KINDS[column]!;
        if (kind === 'text' || kind === 'time' || kind === 'money') expect(typeof parsed).toBe('string');
        else if (kind === 'flag') expect(typeof parsed).toBe('boolean');
        else if (kind.endsWith('s')) expect(Array.isArray(parsed)).toBe(true);
        else expect(typeof parsed).toBe('number');
        expect(JSON.stringify(fitted)).not.toMatch(/\\ud[89a-f]/);
      }),
      { numRuns: 500 },
    );
  });
});
