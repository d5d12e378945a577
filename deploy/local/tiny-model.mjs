// A model that is small enough to be made on the spot: a GGUF file of llama's architecture whose weights are noise from a fixed seed. Real servers load it and
// answer with it, through their real tokenizer, template, sampler and streams; what they answer means nothing.
//
// T1. The same bytes everywhere: integer arithmetic and sums only, no function whose last digit is the engine's.
// T2. What it says is printable ASCII, and it ends by itself now and then: the first dimension of every state is a constant that no layer writes, so the first
//     column of the output matrix is a bias of each token.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TINY_SEED = 20_261_127;
/** Tokens. A byte is a token (a space in a prompt is three), so it is more text than it seems less. */
export const TINY_CONTEXT = 16_384;
const [LAYERS, WIDTH, HEADS, FEED_FORWARD] = [2, 64, 4, 128];
const [ALIGNMENT, F32] = [32, 0];
const [UNKNOWN, BEGIN, END] = [0, 1, 2];
const SPECIAL = ['<unk>', '<s>', '</s>'];
/** Of the tokenizer: what kind of token it is. */
const KIND = { unknown: 2, control: 3, byte: 6 };
const byteToken = (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
const TOKENS = [...SPECIAL, ...Array.from({ length: 256 }, (_, byte) => byteToken(byte))];
const KINDS = TOKENS.map((_, token) => (token === UNKNOWN ? KIND.unknown : token < SPECIAL.length ? KIND.control : KIND.byte));
export const TINY_TEMPLATE = `{% for message in messages %}<{{ message['role'] }}>
{{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}<assistant>
{% endif %}`;

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

/**
 * A matrix of `rows` rows of `columns` numbers, as GGUF lists its sizes: columns first.
 * @param {(row: number, column: number) => number} valueAt
 */
const matrix = (name, columns, rows, valueAt) => ({
  name,
  sizes: rows === undefined ? [columns] : [columns, rows],
  values: Float32Array.from({ length: columns * (rows ?? 1) }, (_, at) => valueAt(Math.floor(at / columns), at % columns)),
});

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

const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

/** GGUF's types of values by number, and how one is written. */
const TYPES = {
  u32: [4, u32],
  i32: [5, u32],
  f32: [6, f32],
  bool: [7, (value) => Buffer.from([value ? 1 : 0])],
  text: [8, text],
};
const ARRAY = 9;
const field = (name, type, value) => {
  const [code, write] = TYPES[type];
  const written = Array.isArray(value) ? [u32(ARRAY), u32(code), u64(value.length), ...value.map(write)] : [u32(code), write(value)];
  return Buffer.concat([text(name), ...written]);
};

const FIELDS = [
  ['general.architecture', 'text', 'llama'],
  ['general.name', 'text', 'dats-tiny'],
  ['general.alignment', 'u32', ALIGNMENT],
  ['general.file_type', 'u32', F32],
  ['llama.block_count', 'u32', LAYERS],
  ['llama.context_length', 'u32', TINY_CONTEXT],
  ['llama.embedding_length', 'u32', WIDTH],
  ['llama.feed_forward_length', 'u32', FEED_FORWARD],
  ['llama.attention.head_count', 'u32', HEADS],
  ['llama.attention.head_count_kv', 'u32', HEADS],
  ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
  ['llama.rope.dimension_count', 'u32', WIDTH / HEADS],
  ['llama.vocab_size', 'u32', TOKENS.length],
  ['tokenizer.ggml.model', 'text', 'llama'],
  ['tokenizer.ggml.tokens', 'text', TOKENS],
  ['tokenizer.ggml.scores', 'f32', TOKENS.map(() => 0)],
  ['tokenizer.ggml.token_type', 'i32', KINDS],
  ['tokenizer.ggml.unknown_token_id', 'u32', UNKNOWN],
  ['tokenizer.ggml.bos_token_id', 'u32', BEGIN],
  ['tokenizer.ggml.eos_token_id', 'u32', END],
  ['tokenizer.ggml.add_bos_token', 'bool', true],
  ['tokenizer.ggml.add_eos_token', 'bool', false],
  ['tokenizer.ggml.add_space_prefix', 'bool', false],
  ['tokenizer.chat_template', 'text', TINY_TEMPLATE],
];

const upTo = (bytes) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
const padded = (bytes) => Buffer.concat([bytes], upTo(bytes.length));
const littleEndian = (values) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes;
};

/** The file's bytes: GGUF version 3. */
export const tinyModel = (seed = TINY_SEED) => {
  const tensors = tensorsFrom(randomFrom(seed));
  let offset = 0;
  const infos = tensors.map(({ name, sizes, values }) => {
    const info = Buffer.concat([text(name), u32(sizes.length), ...sizes.map(u64), u32(F32), u64(offset)]);
    offset += upTo(values.length * 4);
    return info;
  });
  const head = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(FIELDS.length), ...FIELDS.map((one) => field(...one)), ...infos];
  return Buffer.concat([padded(Buffer.concat(head)), ...tensors.map(({ values }) => padded(littleEndian(values)))]);
};

export const sha256Of = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The file is whole or not there. */
export const writeTinyModel = (file) => {
  const made = `${file}.${process.pid}.new`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(made, tinyModel());
  renameSync(made, file);
};

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const file = resolve(process.argv[2] ?? 'tiny.gguf');
  writeTinyModel(file);
  process.stdout.write(`${file}  seed ${TINY_SEED}, sha256 ${sha256Of(readFileSync(file))}\n`);
}
