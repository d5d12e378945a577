// The JSON object in a model's answer, wherever it stands: alone, in a fence, or in prose. Never throws.

/** Where to begin looking for an object, so that an answer full of braces costs no more than this many tries. */
const TRIES = 20;

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The end of the balanced object that begins at `start`; -1: it is never closed. */
const endOfObject = (text: string, start: number): number => {
  let depth = 0;
  let quoted = false;
  for (let i = start; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{') depth++;
    else if (c === '}' && --depth === 0) return i + 1;
  }
  return -1;
};

/** The first JSON object in `text`; undefined when there is none. */
export const jsonIn = (text: string): Record<string, unknown> | undefined => {
  const whole = parse(text.trim());
  if (isObject(whole)) return whole;
  let start = text.indexOf('{');
  for (let tries = 0; start >= 0 && tries < TRIES; tries++) {
    const end = endOfObject(text, start);
    const value = end < 0 ? undefined : parse(text.slice(start, end));
    if (isObject(value)) return value;
    start = text.indexOf('{', start + 1);
  }
  return undefined;
};
