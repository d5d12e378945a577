// Parsers of option values; what they refuse is shown by commander as one line.
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { isUuid, parsePosition } from '../../schemas/index.js';
import { badUsage } from '../exit.js';

export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return value;
  };

export const positiveNumber = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Give a number above 0.');
  return value;
};

export const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** RFC 3339, as the server checks it. */
const INSTANT = z.iso.datetime({ offset: true });

/** `90s`, `30m`, `24h`, `7d` or `24h ago`: so long before `now`, as RFC 3339; undefined for anything else. */
const backFrom = (text: string, now: number): string | undefined => {
  const [, count, unit] = /^(\d{1,6})\s?([smhd])(?: ago)?$/.exec(text.trim()) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  return new Date(Math.max(0, now - Number(count) * UNIT_MS[unit]!)).toISOString();
};

/** `90s`, `30m`, `24h`, `7d` before `now`, or an instant of RFC 3339, as RFC 3339. @throws Fault `bad_usage` naming the option */
export const instantOf = (option: string, text: string | undefined, now: number): string | undefined => {
  if (text === undefined) return undefined;
  const back = backFrom(text, now);
  if (back !== undefined) return back;
  if (!INSTANT.safeParse(text).success)
    throw badUsage(
      `${option} "${text.slice(0, 60)}" is no time; give 90s, 30m, 24h or 7d for so long ago, or RFC 3339 such as 2026-11-21T09:00:00Z`,
    );
  return text;
};

/** A place in the history of a project: an instant as `instantOf` takes it, a position such as `p0-17`, or the id of an event. @throws Fault `bad_usage` */
export const placeOf = (option: string, text: string | undefined, now: number): string | undefined => {
  if (text === undefined) return undefined;
  const back = backFrom(text, now);
  if (back !== undefined) return back;
  if (parsePosition(text) !== undefined || isUuid(text) || INSTANT.safeParse(text).success) return text;
  throw badUsage(
    `${option} "${text.slice(0, 60)}" is no place in history; give so long ago (30m, 24h, 7d), RFC 3339 such as 2026-11-21T09:00:00Z, a position such as p0-17, or the id of an event`,
  );
};

/** One of `values`. @throws Fault `bad_usage` naming the option */
export const oneOf = <T extends string>(option: string, text: string | undefined, values: readonly T[]): T | undefined => {
  if (text === undefined) return undefined;
  const found = values.find((value) => value === text);
  if (found === undefined) throw badUsage(`${option} "${text.slice(0, 60)}" is not one of ${values.join(', ')}`);
  return found;
};

/** No id holds one of these; a path does. */
const PATH = /[./]/;
export const isPath = (text: string): boolean => PATH.test(text);
