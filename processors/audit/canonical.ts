// RFC 8785: the one text of a JSON value. Keys in the order of their UTF-16 units, no blanks, numbers as ECMAScript writes them.
//
// Made here and not by a package, because what has no such text must be the same on every machine: the depth has a limit of its own, not the stack's.

/** Arrays and objects within each other. */
export const DEPTH_LIMIT = 500;
/** How JSON.stringify writes half of a pair; RFC 8785 has no text for it. */
const HALF_PAIR = '\\ud';

/** @returns undefined where there is none: halves of surrogate pairs, numbers above the range, deeper than DEPTH_LIMIT. Of values that JSON.parse gave. */
export const canonicalOf = (value: unknown): string | undefined => {
  const text = write(value, 0);
  return text?.includes(HALF_PAIR) && hasHalfPair(value) ? undefined : text;
};

const write = (value: unknown, depth: number): string | undefined => {
  if (value === null || typeof value !== 'object')
    return typeof value === 'number' && !Number.isFinite(value) ? undefined : JSON.stringify(value);
  if (depth === DEPTH_LIMIT) return undefined;
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) {
      const written = write(item, depth + 1);
      if (written === undefined) return undefined;
      text += text === '' ? written : `,${written}`;
    }
    return `[${text}]`;
  }
  const members = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(members).sort()) {
    const written = write(members[key], depth + 1);
    if (written === undefined) return undefined;
    text += text === '' ? `${JSON.stringify(key)}:${written}` : `,${JSON.stringify(key)}:${written}`;
  }
  return `{${text}}`;
};

const hasHalfPair = (value: unknown): boolean => {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value);
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(value).some(([key, item]) => hasHalfPair(key) || hasHalfPair(item));
};
