// A GGUF file (version 3) of tensors of 32-bit floats: how a model's weights and its tokenizer reach a server.
//
// W1. A file is whole or not there. W2. The same bytes everywhere.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const [ALIGNMENT, F32] = [32, 0];

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

/**
 * A matrix of `rows` rows of `columns` numbers, as GGUF lists its sizes: columns first.
 * @param {(row: number, column: number) => number} valueAt
 */
export const matrix = (name, columns, rows, valueAt) => ({
  name,
  sizes: rows === undefined ? [columns] : [columns, rows],
  values: Float32Array.from({ length: columns * (rows ?? 1) }, (_, at) => valueAt(Math.floor(at / columns), at % columns)),
});

const upTo = (bytes) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
const padded = (bytes) => Buffer.concat([bytes], upTo(bytes.length));
const littleEndian = (values) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes;
};

/**
 * The file's bytes.
 * @param {string} name of the model
 * @param {[name: string, type: string, value: unknown][]} more fields, after those that every file has
 * @param {{ name: string, sizes: number[], values: Float32Array }[]} tensors
 */
export const ggufOf = (name, more, tensors) => {
  const fields = [
    ['general.architecture', 'text', 'llama'],
    ['general.name', 'text', name],
    ['general.alignment', 'u32', ALIGNMENT],
    ['general.file_type', 'u32', F32],
    ...more,
  ];
  let offset = 0;
  const infos = tensors.map(({ name: tensor, sizes, values }) => {
    const info = Buffer.concat([text(tensor), u32(sizes.length), ...sizes.map(u64), u32(F32), u64(offset)]);
    offset += upTo(values.length * 4);
    return info;
  });
  const head = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(fields.length), ...fields.map((one) => field(...one)), ...infos];
  return Buffer.concat([padded(Buffer.concat(head)), ...tensors.map(({ values }) => padded(littleEndian(values)))]);
};

export const sha256Of = (bytes) => createHash('sha256').update(bytes).digest('hex');

export const writeWhole = (file, bytes) => {
  const made = `${file}.${process.pid}.new`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(made, bytes);
  renameSync(made, file);
};
