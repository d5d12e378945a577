import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256Of, writeWhole } from './gguf.mjs';
import { openGguf } from './testing/gguf-file.js';
import { TINY_CONTEXT, tinyModel } from './tiny-model.mjs';
import { TEMPLATE } from './tokenizer.mjs';

describe('the tiny model', () => {
  const file = tinyModel();
  const { magic, version, fields, tensors, data, values } = openGguf(file);
  const field = (name: string) => fields.get(name);

  it('is the same to the byte wherever it is made', () => {
    expect(sha256Of(file)).toBe('1bee9ea873c11b556f3c2baa01337f0c6a51eb1e716b0ce3e699aaf31d8868cd');
    expect(tinyModel().equals(file)).toBe(true);
    expect(tinyModel(1).equals(file)).toBe(false);
  });

  it('has a head that tells a model of the llama architecture', () => {
    expect([magic, version]).toEqual(['GGUF', 3]);
    expect(field('general.architecture')).toBe('llama');
    expect(field('llama.context_length')).toBe(TINY_CONTEXT);
    expect(field('tokenizer.chat_template')).toBe(TEMPLATE);
    expect(field('tokenizer.ggml.add_bos_token')).toBe(true);
  });

  it('has three special tokens and one for each byte', () => {
    const tokens = field('tokenizer.ggml.tokens') as string[];
    expect(tokens).toHaveLength(3 + 256);
    expect(tokens.slice(0, 4)).toEqual(['<unk>', '<s>', '</s>', '<0x00>']);
    expect([tokens[3 + 0x0a], tokens.at(-1)]).toEqual(['<0x0A>', '<0xFF>']);
    expect([field('tokenizer.ggml.bos_token_id'), field('tokenizer.ggml.eos_token_id')]).toEqual([1, 2]);
    expect((field('tokenizer.ggml.token_type') as number[]).slice(0, 4)).toEqual([2, 3, 3, 6]);
    expect(field('tokenizer.ggml.scores')).toHaveLength(tokens.length);
  });

  it('has the tensors of its two layers, one after the other, and nothing behind them', () => {
    expect(tensors.map(({ name }) => name).filter((name) => name.startsWith('blk.1.'))).toHaveLength(9);
    expect(tensors.find(({ name }) => name === 'token_embd.weight')?.sizes).toEqual([64, 259]);
    expect(tensors.find(({ name }) => name === 'blk.0.ffn_down.weight')?.sizes).toEqual([128, 64]);
    let end = 0;
    for (const { sizes, type, offset } of tensors) {
      expect([type, offset]).toEqual([0, end]);
      end = Math.ceil((end + 4 * sizes.reduce((product, size) => product * size)) / 32) * 32;
    }
    expect(file.length).toBe(data + end);
  });

  it('adds nothing to the first dimension of its states, which is what keeps its answers printable', () => {
    for (const name of ['blk.0.attn_output.weight', 'blk.1.ffn_down.weight']) {
      const { sizes } = tensors.find((one) => one.name === name)!;
      const row = values(name).subarray(0, sizes[0]);
      expect(new Set(row)).toEqual(new Set([0]));
    }
  });

  it('is written whole, with nothing beside it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dats-tiny-'));
    try {
      writeWhole(join(folder, 'models', 'tiny.gguf'), file);
      expect(readdirSync(join(folder, 'models'))).toEqual(['tiny.gguf']);
      expect(readFileSync(join(folder, 'models', 'tiny.gguf')).equals(file)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
