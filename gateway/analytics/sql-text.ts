// Values as SQL text. Single values are bound by the port; lists are written out, because bound values travel in an address, whose length is limited.

const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** `('a', 'b')`; for no texts, a list in which nothing is. */
export const textList = (texts: Iterable<string>): string => {
  const quoted = [...texts].map(quote);
  return quoted.length === 0 ? '(NULL)' : `(${quoted.join(', ')})`;
};

/** What the columns can hold that stand for times; before and after it nothing is recorded. */
const FIRST_MS = 0;
const LAST_MS = Date.UTC(2261, 0, 1);

/** RFC 3339, of any offset, as ClickHouse reads a DateTime64(3, 'UTC'). */
export const timeText = (rfc3339: string): string => {
  const ms = Math.min(LAST_MS, Math.max(FIRST_MS, Date.parse(rfc3339)));
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
};

/** `(toDateTime64('...', 3, 'UTC'), ...)` */
export const timeList = (times: Iterable<string>): string => {
  const written = [...times].map((time) => `toDateTime64('${timeText(time)}', 3, 'UTC')`);
  return written.length === 0 ? '(NULL)' : `(${written.join(', ')})`;
};
