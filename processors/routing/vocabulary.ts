// The words that the cheap signals know, and how they are found: one pass over the text, no regular expression, no substring per word.
//
// V1. A word is a run of ASCII letters and digits, compared without case. V2. A hash that matches is confirmed by the letters, so no other word counts.

export const GROUPS = [
  'create',
  'modify',
  'fix',
  'review',
  'document',
  'test',
  'web',
  'data',
  'infra',
  'code',
  'python',
  'typescript',
  'javascript',
  'json_words',
  'markdown_words',
  'concurrency',
  'security',
  'performance',
  'scope',
  'simple',
  'vague',
  'sequence',
] as const;
export type Group = (typeof GROUPS)[number];
export const groupIndex = Object.fromEntries(GROUPS.map((name, i) => [name, i])) as Readonly<Record<Group, number>>;

const WORDS: Readonly<Record<Group, string>> = {
  create: 'write create build implement make generate develop design scaffold bootstrap produce program code',
  modify:
    'refactor change modify update rename extend add migrate replace rewrite convert optimise optimize improve remove delete move port upgrade adapt clean simplify',
  fix: 'fix fixes bug bugs bugfix broken crash crashes crashing fails failing failure regression repair debug wrong incorrect traceback stacktrace exception',
  review: 'review audit critique assess inspect evaluate reviewing',
  document: 'document documentation docs readme docstring docstrings changelog guide tutorial jsdoc explain comments manual wiki',
  test: 'test tests testing unittest unittests pytest vitest jest mocha coverage e2e fixture fixtures testcase testcases',
  web: 'html css react vue svelte angular http https rest endpoint endpoints page webpage frontend browser server route routes form website web url cookie session fastapi flask django express hono nextjs graphql websocket dom',
  data: 'csv sql sqlite postgres mysql database table tables query queries dataset dataframe pandas numpy parquet etl aggregate aggregation column columns rows statistics histogram clickhouse kafka spark excel analytics',
  infra:
    'docker dockerfile kubernetes k8s helm terraform deploy deployment ci cd nginx ansible systemd cluster aws gcp azure cloud container containers compose prometheus grafana bash shell yaml',
  code: 'code function functions class classes method algorithm string strings list lists array arrays return returns integer integers number numbers module library parser sort recursion def const argument arguments parameter script cli tuple dict dictionary type types interface',
  python: 'python py python3 pytest pandas numpy django flask fastapi def pip asyncio dataclass docstring',
  typescript: 'typescript ts tsx vitest angular hono nextjs tsc',
  javascript: 'javascript js jsx mjs node nodejs npm jest express react vue mocha',
  json_words: 'json',
  markdown_words: 'markdown md readme changelog',
  concurrency:
    'concurrent concurrently concurrency thread threads threading multithreaded lock locks lockfree mutex race races deadlock deadlocks async asynchronous parallel atomic semaphore goroutine scheduler',
  security:
    'security secure auth authentication authorization authorisation oauth oauth2 jwt encrypt encryption crypto cryptographic sanitize sanitise injection xss csrf password passwords permission permissions secret secrets vulnerability tls signature',
  performance:
    'performance performant latency throughput optimise optimize benchmark fast faster memory cache caching scale scalable realtime',
  scope:
    'distributed architecture microservice microservices framework compiler interpreter protocol engine system systems complete entire whole production scalable platform application pipeline consensus transaction transactions migration backend fullstack',
  simple: 'simple small trivial tiny short single basic hello typo rename easy minimal quick',
  vague: 'something somehow stuff thing things better nice nicer whatever etc maybe improve probably anything',
  sequence: 'afterwards finally next lastly subsequently first second third',
};

const TABLE_SIZE = 4096;
const MASK = TABLE_SIZE - 1;
const SEED = 0x811c9dc5;
const PRIME = 0x01000193;

interface Word {
  readonly text: string;
  readonly groups: readonly number[];
}

const hashOf = (word: string): number => {
  let h = SEED;
  for (let i = 0; i < word.length; i++) h = Math.imul(h ^ word.charCodeAt(i), PRIME);
  return h | 0;
};

const hashes = new Int32Array(TABLE_SIZE);
const words: (Word | undefined)[] = new Array(TABLE_SIZE).fill(undefined);
const collected = new Map<string, number[]>();
GROUPS.forEach((group, index) => {
  for (const word of WORDS[group].split(' ')) collected.set(word, [...(collected.get(word) ?? []), index]);
});
for (const [text, groups] of collected) {
  const hash = hashOf(text);
  let slot = hash & MASK;
  while (words[slot] !== undefined) slot = (slot + 1) & MASK;
  hashes[slot] = hash;
  words[slot] = { text, groups };
}

const NONE: readonly number[] = [];
const AND = hashOf('and');
const THEN = hashOf('then');

/** Lower case of ASCII letters and digits; 0: not part of a word. */
const FOLDED = new Uint8Array(128);
for (let c = 0; c < 128; c++) {
  const letter = String.fromCharCode(c).toLowerCase();
  if (/[a-z0-9]/.test(letter)) FOLDED[c] = letter.charCodeAt(0);
}

const spells = (text: string, start: number, word: string): boolean => {
  for (let i = 0; i < word.length; i++) if (FOLDED[text.charCodeAt(start + i)] !== word.charCodeAt(i)) return false;
  return true;
};

const lookUp = (hash: number, text: string, start: number, end: number): readonly number[] => {
  for (let slot = hash & MASK; words[slot] !== undefined; slot = (slot + 1) & MASK) {
    if (hashes[slot] !== hash) continue;
    const word = words[slot]!;
    if (word.text.length === end - start && spells(text, start, word.text)) return word.groups;
  }
  return NONE;
};

/** How far the words of a leading phrase reach: "write unit tests" is a test, "write a function with fast tests" is not. */
const PHRASE_WORDS = 3;
/** The verb that says what is wanted stands among the first words. */
const LEAD_WITHIN_WORDS = 12;

export interface WordCounts {
  words: number;
  /** By group index. */
  readonly counts: Int32Array;
  /** "and then", "then" at the beginning of a sentence. */
  thens: number;
  /** Group index of the leading mode word; -1: none. */
  lead: number;
}

const isMode = (group: number): boolean => group <= groupIndex.test;

const scratch: WordCounts = { words: 0, counts: new Int32Array(GROUPS.length), thens: 0, lead: -1 };

/** Counts the known words of `text` up to `end`, as UTF-16 units. The result is reused by the next call. */
export const countWords = (text: string, end: number): WordCounts => {
  scratch.counts.fill(0);
  scratch.words = 0;
  scratch.thens = 0;
  scratch.lead = -1;
  let leadAt = -1;
  let previous = 0;
  let hash = SEED;
  let start = -1;
  for (let i = 0; i <= end; i++) {
    const c = i < end ? text.charCodeAt(i) : 32;
    const folded = c < 128 ? FOLDED[c]! : c;
    if (folded !== 0) {
      if (start < 0) start = i;
      hash = Math.imul(hash ^ folded, PRIME);
      continue;
    }
    if (start < 0) continue;
    const word = hash | 0;
    const groups = lookUp(word, text, start, i);
    for (let g = 0; g < groups.length; g++) {
      const group = groups[g]!;
      scratch.counts[group]!++;
      if (!isMode(group)) continue;
      if (scratch.lead < 0 && scratch.words < LEAD_WITHIN_WORDS) {
        scratch.lead = group;
        leadAt = scratch.words;
      } else if (
        leadAt >= 0 &&
        scratch.words - leadAt <= PHRASE_WORDS &&
        (scratch.lead === groupIndex.create || scratch.lead === groupIndex.modify) &&
        (group === groupIndex.test || group === groupIndex.document)
      ) {
        scratch.lead = group;
      }
    }
    if (word === THEN && (previous === AND || scratch.words === 0)) scratch.thens++;
    previous = word;
    scratch.words++;
    hash = SEED;
    start = -1;
  }
  return scratch;
};
