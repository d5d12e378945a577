// A plain table: left-aligned columns two blanks apart, headings in capitals, no frame. Cells are cleaned and clipped.
import { type Colours, plain } from './colours.js';
import { clip, oneLine } from './text.js';

export interface Column<T> {
  readonly heading: string;
  readonly cell: (row: T) => string | number | null | undefined;
  /** Longest width, characters. */
  readonly max?: number;
  readonly paint?: (row: T, colours: Colours) => (text: string) => string;
}

export const table = <T>(rows: readonly T[], columns: readonly Column<T>[], colours: Colours = plain): readonly string[] => {
  const cells = rows.map((row) => columns.map((column) => clip(oneLine(String(column.cell(row) ?? '-')), column.max ?? 60)));
  const widths = columns.map((column, i) => Math.max(column.heading.length, ...cells.map((line) => line[i]!.length)));
  const lay = (line: readonly string[], paint: (i: number) => (text: string) => string): string =>
    line
      .map((text, i) => paint(i)(text) + (i === line.length - 1 ? '' : ' '.repeat(widths[i]! - text.length)))
      .join('  ')
      .trimEnd();
  const heading = lay(
    columns.map((column) => column.heading.toUpperCase()),
    () => (text) => colours.dim(text),
  );
  return [heading, ...cells.map((line, r) => lay(line, (i) => columns[i]!.paint?.(rows[r]!, colours) ?? ((text) => text)))];
};
