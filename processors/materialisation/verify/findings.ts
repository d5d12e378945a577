// Differences: all are counted, the first are named. And how a value is shown.
import { VERIFY_NAMED_LIMIT, VERIFY_VALUE_LIMIT } from '../../../schemas/index.js';

export interface Findings<T> {
  readonly named: readonly T[];
  readonly count: number;
  add(one: T): void;
}

export const openFindings = <T>(): Findings<T> => {
  const named: T[] = [];
  let count = 0;
  return {
    named,
    get count() {
      return count;
    },
    add: (one) => {
      count += 1;
      if (named.length < VERIFY_NAMED_LIMIT) named.push(one);
    },
  };
};

/** Characters that are kept before the first one that differs. */
const BEFORE = 40;

const cut = (text: string, at: number): string => {
  if (text.length <= VERIFY_VALUE_LIMIT) return text;
  const begin = Math.max(0, Math.min(at - BEFORE, text.length - VERIFY_VALUE_LIMIT + 2));
  const end = begin + VERIFY_VALUE_LIMIT - 2;
  return `${begin > 0 ? '…' : ''}${text.slice(begin, end)}${end < text.length ? '…' : ''}`;
};

/** Two texts so that what differs is seen, however long they are. */
export const shownApart = (expected: string, found: string): { readonly expected: string; readonly found: string } => {
  let at = 0;
  while (at < expected.length && at < found.length && expected[at] === found[at]) at += 1;
  return { expected: cut(expected, at), found: cut(found, at) };
};

export interface Place {
  /** JSON Pointer; empty: the whole. */
  readonly place: string;
  /** JSON; undefined: nothing is there. */
  readonly expected: string | undefined;
  readonly found: string | undefined;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const jsonOf = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value));
const step = (key: string): string => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** Where two values of JSON begin to differ, which they do. Where only the order of their keys does, that is the place. */
export const firstPlace = (expected: unknown, found: unknown, place = ''): Place => {
  const here = { place, expected: jsonOf(expected), found: jsonOf(found) };
  const both = Array.isArray(expected) ? Array.isArray(found) : isObject(expected) && isObject(found);
  if (!both) return here;
  const [left, right] = [expected, found] as Readonly<Record<string, unknown>>[];
  for (const key of new Set([...Object.keys(left!), ...Object.keys(right!)]))
    if (jsonOf(left![key]) !== jsonOf(right![key])) return firstPlace(left![key], right![key], place + step(key));
  return here;
};
