// Cells as the API has them. In the tables an empty text, 0 and 1970 mean "does not apply" (deploy/clickhouse/001_events.sql, Q3); here that is null.
import type { Cell } from '../../streams/index.js';

export const textOf = (cell: Cell | undefined): string => (cell === null || cell === undefined ? '' : String(cell));
export const textOrNull = (cell: Cell | undefined): string | null => textOf(cell) || null;
export const numberOf = (cell: Cell | undefined): number => Number(cell ?? 0);
export const numberOrNull = (cell: Cell | undefined): number | null => (cell === null || cell === undefined ? null : Number(cell));
export const positiveOrNull = (cell: Cell | undefined): number | null => numberOf(cell) || null;
/** RFC 3339, or null where it never was. */
export const timeOrNull = (cell: Cell | undefined): string | null => {
  const text = textOf(cell);
  return text === '' || Date.parse(text) === 0 ? null : text;
};
export const textsOf = (cell: Cell | undefined): string[] => (Array.isArray(cell) ? cell.map(textOf) : []);
export const numbersOf = (cell: Cell | undefined): number[] => (Array.isArray(cell) ? cell.map(numberOf) : []);
/** Milliseconds between two times; null where one never was. */
export const between = (from: string | null, to: string | null): number | null =>
  from === null || to === null ? null : Math.max(0, Date.parse(to) - Date.parse(from));
