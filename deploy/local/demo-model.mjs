// A model that knows the demo's answers by heart, and nothing else: a transformer whose weights are written by hand instead of trained. Its answers are recorded;
// how they come is real: tokenizer, template, attention, sampler, stream and counts of the server that loads it.
//
// Its tokens are bytes, the first line of each task (a key), and pieces of the answers, each of which stands in one place of one answer. A token's code is 128 signs.
// The one layer moves codes: the end of a prompt looks for a key, everything else (and the end of a prompt without one) at the first token, which has no code.
// The output matrix then says for every code what comes next: the first piece after a key, the next one after a piece.
//
// R1. The same bytes everywhere: signs are bits of SHA-256, all other weights are written here.
// R2. No sampling changes an answer: what comes next is likelier than all the rest together, by a factor of e^30 at the least.
// R3. Whatever stands around the key does not matter, however long it is.
import { createHash } from 'node:crypto';
import { ggufOf, matrix } from './gguf.mjs';
import { ASKED, BEGIN, END, KIND, SPECIAL, tokenizerFields, vocabularyWith } from './tokenizer.mjs';

/** Tokens: of a prompt about as many as its bytes. */
export const DEMO_CONTEXT = 16_384;
export const STRANGER = 'This toy model knows the tasks of the demo by heart, and no other (deploy/local/README.md).';
const CODE = 128;
/** Dimensions of a token's state after those of its code. */
const [ASKS, IS_KEY, IS_FIRST, IS_LAST, CONSTANT] = [128, 129, 130, 131, 132];
const [WIDTH, FEED_FORWARD] = [160, 32];
/** Of queries and keys: what looks for a key, and the first token. They are the slowest pair of the rotation, which stands still at this base. */
const [FOR_KEY, FOR_FIRST] = [WIDTH - 2, WIDTH - 1];
const ROPE_BASE = 1e30;
/** Chosen so that a key gets a score of some 60, the first token of some 30, everything else 0. */
const [FLAG, LOOK] = [4, 6];
/** How much louder the key's code is than that of the token that looks for it. */
const LOUD = 4;
/** At a last piece, the end is as likely as a next piece is elsewhere. */
const END_WEIGHT = CODE / FLAG;

/** Words and single characters. */
const ATOM = /[A-Za-z0-9_]+|[^A-Za-z0-9_]/gu;

/** Cuts texts into pieces none of which was there before (as LZ78 does). @param {Set<string>} taken texts that are no piece; pieces are added */
const cutterWith = (taken) => (text) => {
  const pieces = [];
  let piece = '';
  for (const atom of text.match(ATOM)) {
    piece += atom;
    if (taken.has(piece)) continue;
    taken.add(piece);
    pieces.push(piece);
    piece = '';
  }
  // What is left at the end has been there: it becomes longer until it has not.
  while (piece !== '' && taken.has(piece)) piece = pieces.pop() + piece;
  if (piece !== '') pieces.push(piece);
  taken.add(piece);
  return pieces;
};

/** Its tokens after those for bytes, and what comes after which. */
const learned = (answers) => {
  const keys = [...answers.map(({ key }) => key), ASKED];
  const cut = cutterWith(new Set([...vocabularyWith([]), ...keys]));
  const more = keys.map((text) => ({ text, kind: KIND.own }));
  const first = vocabularyWith([]).length;
  /** What comes after a token, by number. */
  const next = new Map();
  const asked = first + answers.length;
  /** @returns the number of the last piece */
  const learnText = (from, text) =>
    cut(text).reduce((last, piece) => {
      const token = first + more.length;
      more.push({ text: piece, kind: KIND.normal });
      next.set(last, token);
      return token;
    }, from);
  const learn = (from, { text, loop }) => {
    const last = learnText(from, text);
    if (loop === undefined) next.set(last, END);
    else {
      const end = learnText(last, loop);
      next.set(end, next.get(last));
    }
  };
  for (const [at, answer] of answers.entries()) learn(first + at, answer);
  learn(asked, { text: STRANGER });
  return { more, next, asked, isKey: (token) => token >= first && token < asked };
};

/** 128 signs for a text (R1). */
const codeOf = (text) => {
  const bytes = createHash('sha256').update(text).digest();
  return Array.from({ length: CODE }, (_, at) => ((bytes[at >> 3] >> (at & 7)) & 1 ? 1 : -1));
};

const statesOf = ({ more, next, asked, isKey }) =>
  vocabularyWith(more).map((text, token) => {
    const state = token < SPECIAL.length ? Array(CODE).fill(0) : codeOf(text);
    state.length = WIDTH;
    state.fill(0, CODE);
    state[CONSTANT] = 1;
    if (token === asked) state[ASKS] = FLAG;
    if (isKey(token)) state[IS_KEY] = FLAG;
    if (token === BEGIN) state[IS_FIRST] = 1;
    if (next.get(token) === END) state[IS_LAST] = FLAG;
    return state;
  });

/** What makes each token likely: the codes of those that it follows. */
const outputsOf = ({ next }, states) => {
  const rows = states.map(() => Array(WIDTH).fill(0));
  rows[END][IS_LAST] = END_WEIGHT;
  for (const [from, to] of next) if (to !== END) for (let at = 0; at < CODE; at += 1) rows[to][at] += states[from][at];
  return rows;
};

const tensorsOf = (knowledge) => {
  const states = statesOf(knowledge);
  const outputs = outputsOf(knowledge, states);
  const norm = (name) => matrix(name, WIDTH, undefined, () => 1);
  /** Zero but for these weights: [row, column, value]. */
  const sparse = (name, weights) => {
    const at = new Map(weights.map(([row, column, value]) => [row * WIDTH + column, value]));
    return matrix(name, WIDTH, WIDTH, (row, column) => at.get(row * WIDTH + column) ?? 0);
  };
  const codes = (value) => Array.from({ length: CODE }, (_, at) => [at, at, value]);
  const nothing = (name, columns, rows) => matrix(name, columns, rows, () => 0);
  return [
    matrix('token_embd.weight', WIDTH, states.length, (token, column) => states[token][column]),
    norm('blk.0.attn_norm.weight'),
    sparse('blk.0.attn_q.weight', [
      [FOR_KEY, ASKS, LOOK],
      [FOR_FIRST, CONSTANT, LOOK],
    ]),
    sparse('blk.0.attn_k.weight', [
      [FOR_KEY, IS_KEY, LOOK],
      [FOR_FIRST, IS_FIRST, LOOK],
    ]),
    sparse('blk.0.attn_v.weight', codes(1)),
    sparse('blk.0.attn_output.weight', codes(LOUD)),
    norm('blk.0.ffn_norm.weight'),
    nothing('blk.0.ffn_gate.weight', WIDTH, FEED_FORWARD),
    nothing('blk.0.ffn_up.weight', WIDTH, FEED_FORWARD),
    nothing('blk.0.ffn_down.weight', FEED_FORWARD, WIDTH),
    norm('output_norm.weight'),
    matrix('output.weight', WIDTH, states.length, (token, column) => outputs[token][column]),
  ];
};

/** The file's bytes. @param {{ key: string, text: string, loop?: string }[]} answers */
export const demoModel = (name, answers) => {
  const knowledge = learned(answers);
  const fields = [
    ['llama.block_count', 'u32', 1],
    ['llama.context_length', 'u32', DEMO_CONTEXT],
    ['llama.embedding_length', 'u32', WIDTH],
    ['llama.feed_forward_length', 'u32', FEED_FORWARD],
    ['llama.attention.head_count', 'u32', 1],
    ['llama.attention.head_count_kv', 'u32', 1],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
    ['llama.rope.dimension_count', 'u32', WIDTH],
    ['llama.rope.freq_base', 'f32', ROPE_BASE],
    ...tokenizerFields(knowledge.more),
  ];
  return ggufOf(`dats-${name}`, fields, tensorsOf(knowledge));
};
