// Columns of `dats.events`: what a row must hold in each, and whether it does. Pure.
//
// L1. What a row leaves out, the table fills: '' or 0 or [] or false or 1970, and NULL where 0 would be an answer (001_events.sql, Q3). L2. Numbers are compared as numbers,
// decimals and whole numbers beyond 2^53 as digits, everything else as it is: nothing is rounded before it is compared.
import type { Cell, Row } from '../../../streams/index.js';
import { KINDS } from '../history/fit.js';
import type { EventRow } from '../history/row.js';

type Kind = (typeof KINDS)[string];
type Value = EventRow[string] | null;

/** Columns that hold NULL where nothing is said (a test compares with 001_events.sql). */
export const NULLABLE: ReadonlySet<string> = new Set(['confidence', 'score', 'first_chunk_ms']);

const EMPTY: Readonly<Record<Kind, Value>> = {
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

interface Column {
  readonly name: string;
  readonly kind: Kind;
  readonly empty: Value;
}
const COLUMNS: readonly Column[] = Object.entries(KINDS).map(([name, kind]) => ({
  name,
  kind,
  empty: NULLABLE.has(name) ? null : EMPTY[kind],
}));

/** For a SELECT: every column, so that no digit is lost on the way. */
export const SELECTED: string = COLUMNS.map(({ name, kind }) => (kind === 'money' ? `toDecimalString(${name}, 9) AS ${name}` : name)).join(
  ', ',
);

const isSame = (kind: Kind, expected: Value, found: Cell): boolean => {
  switch (kind) {
    case 'u64':
      return expected === found || String(expected) === String(found);
    case 'texts':
    case 'u64s': {
      if (!Array.isArray(expected) || !Array.isArray(found)) return false;
      return expected.length === found.length && expected.every((item, i) => item === found[i] || String(item) === String(found[i]));
    }
    default:
      return expected === found;
  }
};

export interface CellDifference {
  readonly column: string;
  readonly expected: Value;
  readonly found: Cell;
}

/** Columns in which a row of the table is not what it must be. */
export const cellDifferences = (expected: EventRow, found: Row): readonly CellDifference[] => {
  const differences: CellDifference[] = [];
  for (const { name, kind, empty } of COLUMNS) {
    const wanted = expected[name] ?? empty;
    const has = found[name] ?? null;
    if (!isSame(kind, wanted, has)) differences.push({ column: name, expected: wanted, found: has });
  }
  return differences;
};
