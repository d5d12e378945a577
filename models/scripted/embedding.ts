// Vectors without a model: words hashed into 64 dimensions with a sign (feature hashing), then scaled to unit length.
// The same text gives the same vector for ever, and texts that share words lie nearer than texts that share none.

export const DIMENSIONS = 64;

/** FNV-1a, mixed. */
const hash = (word: string): number => {
  let h = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) h = Math.imul(h ^ word.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  return (h ^ (h >>> 15)) >>> 0;
};

export const embedding = (text: string): readonly number[] => {
  const vector = new Array<number>(DIMENSIONS).fill(0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []) {
    const h = hash(word);
    vector[h % DIMENSIONS]! += h >>> 31 === 1 ? 1 : -1;
  }
  const length = Math.hypot(...vector);
  // No words, or words that cancel each other out: still a unit vector, chosen by the whole text.
  if (length === 0) return vector.map((_, i) => (i === hash(text) % DIMENSIONS ? 1 : 0));
  return vector.map((x) => x / length);
};
