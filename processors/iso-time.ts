// Instants between text and number. Events of a batch share a few milliseconds, and formatting or parsing one costs as much as ten look-ups: so
// the newest are remembered. Pure as seen from outside.

/** A power of two. */
const REMEMBERED = 64;
const instants = new Float64Array(REMEMBERED).fill(Number.NaN);
const texts = new Array<string>(REMEMBERED).fill('');

/** RFC 3339 UTC with milliseconds. @param ms since the epoch. @throws RangeError beyond what a Date holds. */
export const isoOf = (ms: number): string => {
  const slot = ms & (REMEMBERED - 1);
  if (instants[slot] === ms) return texts[slot]!;
  const text = new Date(ms).toISOString();
  instants[slot] = ms;
  texts[slot] = text;
  return text;
};

let lastText = '';
let lastMs = Number.NaN;

/** Milliseconds since the epoch; NaN for text that is no instant. */
export const millisOf = (text: string): number => {
  if (text !== lastText) {
    lastMs = Date.parse(text);
    lastText = text;
  }
  return lastMs;
};
