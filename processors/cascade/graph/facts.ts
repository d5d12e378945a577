// What is known of each artifact: one row of 64 bytes by its index, with names as numbers of the interner and the digest as eight words, and two numbers that are too large for it.
import { Fault } from '../../../schemas/index.js';
import type { ArtifactFact } from './graph.js';
import { halfWordAt, hexOfWord } from './hex.js';
import { type Interner, intern, nameOf } from './interner.js';
import { withRows } from './rows.js';

/** Where in a row the number of a name stands; 0 there: not known. */
export const NAMES = { path: 0, model: 1, model_digest: 2, prompt_version: 3, node: 4, config_version: 5 } as const;
export type NameField = keyof typeof NAMES;
const FIELDS = Object.keys(NAMES) as readonly NameField[];
const TASK = 6;
const ATTEMPT = 7;
const DIGEST = 8;
const DIGEST_WORDS = 8;
/** Numbers of a row. */
export const FACT = DIGEST + DIGEST_WORDS;
const DIGEST_LENGTH = 64;
const WORD_DIGITS = 8;

const TIME = 1;
/** Offset and milliseconds. */
const PLACED = 2;

export interface Facts {
  readonly interner: Interner;
  /** `FACT` numbers by index. */
  rows: Int32Array;
  /** `PLACED` numbers by index. */
  placed: Float64Array;
}

/** The digest that was parsed last. */
const digest = new Int32Array(DIGEST_WORDS);

/** Into `digest`. */
const parseDigest = (sha256: string): void => {
  let valid = sha256.length === DIGEST_LENGTH;
  for (let word = 0; valid && word < DIGEST_WORDS; word++) {
    const high = halfWordAt(sha256, word * WORD_DIGITS);
    const low = halfWordAt(sha256, word * WORD_DIGITS + WORD_DIGITS / 2);
    valid = (high | low) >= 0;
    digest[word] = (high << 16) | low;
  }
  if (!valid) throw new Fault('terminal', 'artifact_sha256', `no sha256: ${sha256.slice(0, DIGEST_LENGTH)}`);
};

export const openFacts = (interner: Interner): Facts => ({ interner, rows: new Int32Array(0), placed: new Float64Array(0) });

/** Room for indexes below `size`. */
export const fitFacts = (facts: Facts, size: number): void => {
  facts.rows = withRows(facts.rows, size, FACT);
  facts.placed = withRows(facts.placed, size, PLACED);
};

export const hasFacts = ({ rows }: Facts, index: number): boolean => (rows[index * FACT + NAMES.path] ?? 0) !== 0;

/** `task`: its number. @throws Fault `artifact_sha256`: not 64 lower-case hex digits; nothing was put then */
export const putFacts = ({ rows, placed, interner }: Facts, index: number, task: number, fact: ArtifactFact): void => {
  parseDigest(fact.sha256);
  const row = index * FACT;
  rows.set(digest, row + DIGEST);
  for (const field of FIELDS) rows[row + NAMES[field]] = intern(interner, fact[field]);
  rows[row + TASK] = task;
  rows[row + ATTEMPT] = fact.attempt;
  placed[index * PLACED] = fact.offset;
  placed[index * PLACED + TIME] = fact.time_ms;
};

const digestAt = ({ rows }: Facts, index: number): string => {
  let hex = '';
  for (let word = 0; word < DIGEST_WORDS; word++) hex += hexOfWord(rows[index * FACT + DIGEST + word]!);
  return hex;
};

/** Of an artifact that has facts: all that is not an id. */
export const factsAt = (facts: Facts, index: number): Omit<ArtifactFact, 'artifact_id' | 'task_id'> => {
  const { rows, placed, interner } = facts;
  const name = (field: NameField): string => nameOf(interner, rows[index * FACT + NAMES[field]]!);
  return {
    attempt: rows[index * FACT + ATTEMPT]!,
    path: name('path'),
    sha256: digestAt(facts, index),
    model: name('model'),
    model_digest: name('model_digest'),
    prompt_version: name('prompt_version'),
    node: name('node'),
    config_version: name('config_version'),
    offset: placed[index * PLACED]!,
    time_ms: placed[index * PLACED + TIME]!,
  };
};

/** Number of its task. */
export const taskAt = ({ rows }: Facts, index: number): number => rows[index * FACT + TASK]!;

/** Number of its path. */
export const pathAt = ({ rows }: Facts, index: number): number => rows[index * FACT + NAMES.path]!;

export const offsetAt = ({ placed }: Facts, index: number): number => placed[index * PLACED]!;

/** Milliseconds since the epoch. */
export const timeAt = ({ placed }: Facts, index: number): number => placed[index * PLACED + TIME]!;

/** Both ends have facts, and are of the same path or have the same content. */
export const areVersions = (facts: Facts, index: number, other: number): boolean => {
  if (!hasFacts(facts, index) || !hasFacts(facts, other)) return false;
  const [row, otherRow] = [index * FACT, other * FACT];
  const isSame = (place: number): boolean => facts.rows[row + place] === facts.rows[otherRow + place];
  if (isSame(NAMES.path)) return true;
  for (let word = 0; word < DIGEST_WORDS; word++) if (!isSame(DIGEST + word)) return false;
  return true;
};
