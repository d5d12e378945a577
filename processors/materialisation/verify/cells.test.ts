import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../../streams/index.js';
import { KINDS } from '../history/fit.js';
import { cellDifferences, NULLABLE, SELECTED } from './cells.js';

const EVENTS_SQL = readFileSync(new URL('../../../deploy/clickhouse/001_events.sql', import.meta.url), 'utf8');

const EMPTY: Readonly<Record<string, Row[string]>> = {
  text: '',
  texts: [],
  time: '1970-01-01T00:00:00.000Z',
  u16: 0,
  u64: 0,
  u64s: [],
  real: 0,
  money: '0.000000000',
  flag: false,
};
const emptyRow = (change: Row = {}): Row => ({
  ...Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [name, NULLABLE.has(name) ? null : EMPTY[kind]!])),
  ...change,
});

describe('a row that is compared', () => {
  it('may hold NULL where the table may, and nowhere else', () => {
    const nullable = [...EVENTS_SQL.matchAll(/^ {4}(\w+) Nullable\(/gm)].map(([, name]) => name!);
    expect(nullable.length).toBeGreaterThan(2);
    expect([...NULLABLE].sort()).toEqual(nullable.sort());
  });

  it('is asked for in every column', () => {
    for (const column of Object.keys(KINDS))
      expect(
        SELECTED.split(', ')
          .join(' ')
          .split(/[\s(,]+/),
      ).toContain(column);
  });

  it('that leaves a column out has the default of the table there', () => {
    expect(cellDifferences({}, emptyRow())).toEqual([]);
    for (const column of Object.keys(KINDS))
      expect(cellDifferences({}, emptyRow({ [column]: 'x' })).map((one) => one.column)).toEqual([column]);
    expect(cellDifferences({}, emptyRow({ score: 0 }))).toEqual([{ column: 'score', expected: null, found: 0 }]);
    expect(cellDifferences({}, {}).map(({ column }) => column)).toEqual(Object.keys(KINDS).filter((column) => !NULLABLE.has(column)));
  });

  it.each<[string, string | number | readonly (string | number)[], Row[string]]>([
    ['offset', 9_007_199_254_740_991, '9007199254740991'],
    ['artifact_bytes', [1, 9_007_199_254_740_991], ['1', '9007199254740991']],
    ['artifact_ids', ['a', 'b'], ['a', 'b']],
    ['cost_usd', '123456789.123456789', '123456789.123456789'],
    ['duration_ms', 0.1, 0.1],
  ])('is the same however the engine writes it: %s', (column, expected, found) => {
    expect(cellDifferences({ [column]: expected }, emptyRow({ [column]: found }))).toEqual([]);
  });

  it.each<[string, string | number | readonly (string | number)[], Row[string]]>([
    ['cost_usd', '123456789.123456789', '123456789.123456788'],
    ['artifact_ids', ['a', 'b'], ['b', 'a']],
    ['artifact_ids', ['a'], ['a', 'b']],
    ['artifact_bytes', [1], ['2']],
    ['attempt', 1, '1'],
    ['data', '{}', '{} '],
  ])('differs by the last digit, the order, the length: %s', (column, expected, found) => {
    expect(cellDifferences({ [column]: expected }, emptyRow({ [column]: found }))).toEqual([{ column, expected, found }]);
  });
});
