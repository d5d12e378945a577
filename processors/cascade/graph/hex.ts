// Hex digits to 32-bit words and back: an id of 36 characters is four numbers, a digest of 64 is eight.

/** Value of a lower-case hex digit by its UTF-16 code unit; -1: none. */
const NIBBLES = new Int8Array(65_536).fill(-1);
for (let value = 0; value < 16; value++) NIBBLES[value.toString(16).charCodeAt(0)] = value;

const BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Of the four digits at `at`; negative where one of them is no lower-case hex digit. The text has to be long enough. */
export const halfWordAt = (text: string, at: number): number =>
  (NIBBLES[text.charCodeAt(at)]! << 12) |
  (NIBBLES[text.charCodeAt(at + 1)]! << 8) |
  (NIBBLES[text.charCodeAt(at + 2)]! << 4) |
  NIBBLES[text.charCodeAt(at + 3)]!;

/** Eight digits. */
export const hexOfWord = (word: number): string =>
  BYTES[word >>> 24]! + BYTES[(word >>> 16) & 255]! + BYTES[(word >>> 8) & 255]! + BYTES[word & 255]!;
