// Ids and the numbers they were given, in the order in which they came: 0, 1, 2 ...
//
// I1. An id of the shape of a UUID is kept as 16 bytes and found by an open-addressing table that is at most half full: 24 to 32 bytes an id. I2. Every other text is an
// id as well (the schemas allow any of 1 to 64 characters), kept as it is in a Map. I3. What comes out is the very text that went in: upper-case digits are I2.
import { Fault } from '../../../schemas/index.js';
import { halfWordAt, hexOfWord } from './hex.js';
import { FIRST_ROWS, withRows } from './rows.js';

const WORDS = 4;
const UUID_LENGTH = 36;
const DASH = 45;
export interface IdIndex {
  /** Numbers given so far. */
  size: number;
  /** Four by number. */
  words: Int32Array;
  /** Numbers + 1, at the place of their hash or the next free one; 0: free. Its length is a power of two. */
  slots: Int32Array;
  /** I2; undefined: none yet. */
  others: { readonly numbers: Map<string, number>; readonly texts: Map<number, string> } | undefined;
}

export const openIdIndex = (): IdIndex => ({ size: 0, words: new Int32Array(0), slots: new Int32Array(FIRST_ROWS * 2), others: undefined });

/** The id that was parsed last: no id is in use beyond the call that parsed it. */
const parsed = new Int32Array(WORDS);

const hasDashes = (id: string): boolean =>
  id.charCodeAt(8) === DASH && id.charCodeAt(13) === DASH && id.charCodeAt(18) === DASH && id.charCodeAt(23) === DASH;

/** Into `parsed`, eight groups of four digits. @returns false: it has not the shape of a UUID */
const parse = (id: string): boolean => {
  if (id.length !== UUID_LENGTH || !hasDashes(id)) return false;
  const a = halfWordAt(id, 0);
  const b = halfWordAt(id, 4);
  const c = halfWordAt(id, 9);
  const d = halfWordAt(id, 14);
  const e = halfWordAt(id, 19);
  const f = halfWordAt(id, 24);
  const g = halfWordAt(id, 28);
  const h = halfWordAt(id, 32);
  if ((a | b | c | d | e | f | g | h) < 0) return false;
  parsed[0] = (a << 16) | b;
  parsed[1] = (c << 16) | d;
  parsed[2] = (e << 16) | f;
  parsed[3] = (g << 16) | h;
  return true;
};

/** Mixes all words: of ids that are made from the time, the first hardly differ. Constants are MurmurHash3's. */
const hashAt = (words: Int32Array, at: number): number => {
  let hash = words[at]!;
  for (let i = 1; i < WORDS; i++) hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) ^ words[at + i]!;
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
};

/** The slot of what is parsed, or the free one where it belongs. */
const slotOf = ({ words, slots }: IdIndex): number => {
  const mask = slots.length - 1;
  for (let slot = hashAt(parsed, 0) & mask; ; slot = (slot + 1) & mask) {
    const at = (slots[slot]! - 1) * WORDS;
    if (at < 0) return slot;
    if (words[at] === parsed[0] && words[at + 1] === parsed[1] && words[at + 2] === parsed[2] && words[at + 3] === parsed[3]) return slot;
  }
};

const doubled = ({ words, slots }: IdIndex): Int32Array => {
  const larger = new Int32Array(slots.length * 2);
  const mask = larger.length - 1;
  for (const number of slots) {
    if (number === 0) continue;
    let slot = hashAt(words, (number - 1) * WORDS) & mask;
    while (larger[slot] !== 0) slot = (slot + 1) & mask;
    larger[slot] = number;
  }
  return larger;
};

const internText = (index: IdIndex, id: string): number => {
  index.others ??= { numbers: new Map(), texts: new Map() };
  const known = index.others.numbers.get(id);
  if (known !== undefined) return known;
  index.others.numbers.set(id, index.size);
  index.others.texts.set(index.size, id);
  return index.size++;
};

/** -1: not known. */
export const numberOfId = (index: IdIndex, id: string): number =>
  parse(id) ? index.slots[slotOf(index)]! - 1 : (index.others?.numbers.get(id) ?? -1);

/** Gives it the next number where it has none. */
export const internId = (index: IdIndex, id: string): number => {
  if (!parse(id)) return internText(index, id);
  const slot = slotOf(index);
  const known = index.slots[slot]!;
  if (known !== 0) return known - 1;
  index.words = withRows(index.words, index.size + 1, WORDS);
  index.words.set(parsed, index.size * WORDS);
  index.slots[slot] = ++index.size;
  if (index.size * 2 > index.slots.length) index.slots = doubled(index);
  return index.size - 1;
};

/** @throws Fault `no_such_index` */
export const idAt = ({ size, words, others }: IdIndex, number: number): string => {
  if (!(number >= 0 && number < size)) throw new Fault('terminal', 'no_such_index', `nothing has the index ${number}`);
  const text = others?.texts.get(number);
  if (text !== undefined) return text;
  const first = number * WORDS;
  const b = hexOfWord(words[first + 1]!);
  const c = hexOfWord(words[first + 2]!);
  return `${hexOfWord(words[first]!)}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${hexOfWord(words[first + 3]!)}`;
};
