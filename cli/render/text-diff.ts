// Two versions of a text as a unified diff, short enough to be read before something is decided.
import { structuredPatch } from 'diff';
import { type Colours, plain } from './colours.js';
import { harmless } from './text.js';

/** Lines shown of one file. */
export const DIFF_LINES = 60;
/** A text that is longer is not compared, bytes. */
const COMPARED_BYTES = 512 * 1024;
/** Lines that differ at most; where more do, the whole file does. */
const EDITS = 2_000;
const CONTEXT_LINES = 3;

const textOf = (bytes: Uint8Array | undefined): string | undefined => {
  try {
    const text = bytes === undefined ? '' : new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.includes('\u0000') ? undefined : text;
  } catch {
    return undefined;
  }
};

/** A range of no lines begins after the line before it. */
const range = (start: number, lines: number): string => `${lines === 0 ? start - 1 : start},${lines}`;

/** @param from undefined: there was nothing. @param to undefined: there is to be nothing. */
export const diffLines = (
  from: Uint8Array | undefined,
  to: Uint8Array | undefined,
  { colours = plain, lines: most = DIFF_LINES }: { readonly colours?: Colours; readonly lines?: number } = {},
): readonly string[] => {
  if (Math.max(from?.length ?? 0, to?.length ?? 0) > COMPARED_BYTES) return [colours.dim('(too long to be compared here)')];
  const [before, after] = [textOf(from), textOf(to)];
  if (before === undefined || after === undefined) return [colours.dim('(not text)')];
  if (before === after) return [colours.dim('(the same text)')];
  const patch = structuredPatch('', '', before, after, undefined, undefined, { context: CONTEXT_LINES, maxEditLength: EDITS });
  if (patch === undefined) return [colours.dim('(nearly every line differs)')];
  const all = patch.hunks.flatMap((hunk) => [
    colours.cyan(`@@ -${range(hunk.oldStart, hunk.oldLines)} +${range(hunk.newStart, hunk.newLines)} @@`),
    ...hunk.lines.map((line) => {
      const shown = harmless(line);
      return line.startsWith('-') ? colours.red(shown) : line.startsWith('+') ? colours.green(shown) : shown;
    }),
  ]);
  return all.length <= most ? all : [...all.slice(0, most), colours.dim(`(${all.length - most} more lines)`)];
};
