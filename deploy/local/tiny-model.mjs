// A model that is small enough to be made on the spot: a GGUF file of llama's architecture whose weights are noise from a fixed seed. Real servers load it and
// answer with it, through their real tokenizer, template, sampler and streams; what they answer means nothing.
//
// T1. The same bytes everywhere: integer arithmetic and sums only, no function whose last digit is the engine's.
// T2. What it says is printable ASCII, and it ends by itself now and then: the first dimension of every state is a constant that no layer writes, so the first
//     column of the output matrix is a bias of each token.
import { ggufOf, matrix } from './gguf.mjs';
import { END, SPECIAL, tokenizerFields, vocabularyWith } from './tokenizer.mjs';

export const TINY_SEED = 20_261_127;
/** Tokens. A byte is a token (a space in a prompt is three), so it is more text than it seems less. */
export const TINY_CONTEXT = 16_384;
const [LAYERS, WIDTH, HEADS, FEED_FORWARD] = [2, 64, 4, 128];
const TOKENS = vocabularyWith([]);

/** How far weights spread around 0, and the constant of the first dimension (T2). */
const SPREAD = { embedding: 1, layer: 0.15, output: 0.16 };
const CONSTANT = 4;
/** What the first column of the output matrix gives a token. */
const BIAS = { letter: 0.5, printable: 0, end: 0.7, never: -6 };

const biasOf = (token) => {
  if (token === END) return BIAS.end;
  const byte = token - SPECIAL.length;
  if (byte === 0x20 || (byte >= 0x61 && byte <= 0x7a)) return BIAS.letter;
  return byte === 0x0a || (byte > 0x20 && byte < 0x7f) ? BIAS.printable : BIAS.never;
};

/** Numbers in [0, 1): mulberry32. */
const randomFrom = (seed) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Around 0 with about this spread: twelve numbers of [0, 1) have a variance of 1 together. */
const noise = (random, spread) => {
  let sum = -6;
  for (let one = 0; one < 12; one += 1) sum += random();
  return sum * spread;
};

const tensorsFrom = (random) => {
  const plain = (name, columns, rows) => matrix(name, columns, rows, () => noise(random, SPREAD.layer));
  /** Its rows are what is added to the state: the first is left alone (T2). */
  const adding = (name, columns) => matrix(name, columns, WIDTH, (row) => (row === 0 ? 0 : noise(random, SPREAD.layer)));
  const norm = (name) => matrix(name, WIDTH, undefined, () => 1);
  const layer = (at) => [
    norm(`blk.${at}.attn_norm.weight`),
    ...['q', 'k', 'v'].map((part) => plain(`blk.${at}.attn_${part}.weight`, WIDTH, WIDTH)),
    adding(`blk.${at}.attn_output.weight`, WIDTH),
    norm(`blk.${at}.ffn_norm.weight`),
    plain(`blk.${at}.ffn_gate.weight`, WIDTH, FEED_FORWARD),
    plain(`blk.${at}.ffn_up.weight`, WIDTH, FEED_FORWARD),
    adding(`blk.${at}.ffn_down.weight`, FEED_FORWARD),
  ];
  return [
    matrix('token_embd.weight', WIDTH, TOKENS.length, (_, column) => (column === 0 ? CONSTANT : noise(random, SPREAD.embedding))),
    ...Array.from({ length: LAYERS }, (_, at) => layer(at)).flat(),
    norm('output_norm.weight'),
    matrix('output.weight', WIDTH, TOKENS.length, (token, column) => (column === 0 ? biasOf(token) : noise(random, SPREAD.output))),
  ];
};

const FIELDS = [
  ['llama.block_count', 'u32', LAYERS],
  ['llama.context_length', 'u32', TINY_CONTEXT],
  ['llama.embedding_length', 'u32', WIDTH],
  ['llama.feed_forward_length', 'u32', FEED_FORWARD],
  ['llama.attention.head_count', 'u32', HEADS],
  ['llama.attention.head_count_kv', 'u32', HEADS],
  ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
  ['llama.rope.dimension_count', 'u32', WIDTH / HEADS],
  ...tokenizerFields(),
];

/** The file's bytes. */
export const tinyModel = (seed = TINY_SEED) => ggufOf('dats-tiny', FIELDS, tensorsFrom(randomFrom(seed)));
