// What a project, a user or an agent has used and set aside. Days and months are those of UTC.
//
// A1. What is settled counts in the window in which it is settled; what is set aside counts in every window until then. A2. Windows never go back: an event that is
// older than the window counts in it. A3. `reserved` and `open` follow from the open reservations; they are no part of what is stored.
import type { QuotaSubject } from '../../schemas/index.js';

/** Nano-dollars beside tokens. */
export interface Sum {
  readonly tokens: number;
  readonly nanos: number;
}

export type Window = 'day' | 'month' | 'total';

export interface Account extends QuotaSubject {
  total: Sum;
  month: Sum & { readonly of: string };
  day: Sum & { readonly of: string };
  /** Reservations made in each of the last seconds: [second, how many], oldest first. */
  recent: (readonly [number, number])[];
  reserved: Sum;
  /** Open reservations. */
  open: number;
}

export const NOTHING: Sum = { tokens: 0, nanos: 0 };
export const plus = (a: Sum, b: Sum): Sum => ({ tokens: a.tokens + b.tokens, nanos: a.nanos + b.nanos });
export const minus = (a: Sum, b: Sum): Sum => ({ tokens: a.tokens - b.tokens, nanos: a.nanos - b.nanos });

const DAY_MS = 24 * 60 * 60 * 1000;
const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const monthOf = (ms: number): string => new Date(ms).toISOString().slice(0, 7);

/** When the window that holds at `now` ends, milliseconds since the epoch; undefined: never. */
export const endOf = (window: Window, now: number): number | undefined => {
  if (window === 'total') return undefined;
  if (window === 'day') return Math.floor(now / DAY_MS) * DAY_MS + DAY_MS;
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
};

export const newAccount = ({ kind, id }: QuotaSubject): Account => ({
  kind,
  id,
  total: NOTHING,
  month: { of: '', ...NOTHING },
  day: { of: '', ...NOTHING },
  recent: [],
  reserved: NOTHING,
  open: 0,
});

/** What was used in the window that holds at `now`. */
export const usedIn = (account: Account, window: Window, now: number): Sum => {
  if (window === 'total') return account.total;
  const { of, ...sum } = account[window];
  return of >= (window === 'day' ? dayOf(now) : monthOf(now)) ? sum : NOTHING;
};

export const use = (account: Account, used: Sum, now: number): void => {
  const roll = (window: 'day' | 'month', of: string) => {
    const kept = account[window].of >= of ? account[window] : { of, ...NOTHING };
    return { of: kept.of, ...plus(kept, used) };
  };
  account.total = plus(account.total, used);
  account.month = roll('month', monthOf(now));
  account.day = roll('day', dayOf(now));
};

/** A second counts so long: then no minute, wherever it begins, has more than a limit allows. Seconds. */
const COUNTS_S = 61;
const secondOf = (ms: number): number => Math.floor(ms / 1000);

export const countIn = (account: Account, now: number): void => {
  const second = secondOf(now);
  const kept = account.recent.filter(([at]) => second - at < COUNTS_S);
  const last = kept.at(-1);
  account.recent = last !== undefined && last[0] >= second ? [...kept.slice(0, -1), [last[0], last[1] + 1]] : [...kept, [second, 1]];
};

/** Reservations of the last minute, and when there are fewer than `allowed`. */
export const recentCount = (account: Account, now: number, allowed: number): { readonly count: number; readonly freeAt: number } => {
  const second = secondOf(now);
  const kept = account.recent.filter(([at]) => second - at < COUNTS_S);
  const count = kept.reduce((sum, [, n]) => sum + n, 0);
  let left = count;
  for (const [at, n] of kept) {
    left -= n;
    if (left < allowed) return { count, freeAt: (at + COUNTS_S) * 1000 };
  }
  return { count, freeAt: now };
};
