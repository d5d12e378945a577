// Patterns for ids of models: `*` stands for any text, everything else for itself.

/** Linear in the text for each `*`: no pattern that people write takes long. */
const matches = (pattern: string, id: string): boolean => {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === id;
  if (!id.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = id.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return id.length - last.length >= at && id.endsWith(last);
};

export const matchesAny = (patterns: readonly string[], id: string): boolean => patterns.some((pattern) => matches(pattern, id));
