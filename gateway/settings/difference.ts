// Where two JSON values differ, place by place. Pure.
import type { ConfigDiff } from '../../schemas/index.js';

type Difference = ConfigDiff['changes'][number];

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;
const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
const own = (value: Readonly<Record<string, unknown>>, name: string): unknown => (Object.hasOwn(value, name) ? value[name] : undefined);

/** Differences from `from` to `to`, each at its RFC 6901 pointer; undefined: nothing is there. Lists are compared item by item. */
export const differences = (from: unknown, to: unknown, pointer = ''): readonly Difference[] => {
  if (Object.is(from, to)) return [];
  if (isObject(from) && isObject(to) && Array.isArray(from) === Array.isArray(to)) {
    const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
    return names.flatMap((name) => differences(own(from, name), own(to, name), `${pointer}/${escaped(name)}`));
  }
  return [{ pointer, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
};
