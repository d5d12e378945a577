// Runs a model of llama's architecture that has one layer and one head, as a server does: tokenizer, embedding, norms, rotation, attention, output. Small, and slow.
// What it is not: exact where a server merges the characters of a prompt into longer tokens (here they stay bytes), and blind to the second half of the layer (zero).
import { openGguf } from './gguf-file.js';

const [EPSILON, BEGIN, END, FIRST_BYTE, OWN] = [1e-5, 1, 2, 3, 4];

const rootMeanSquare = (state: Float64Array): number => Math.sqrt(state.reduce((sum, one) => sum + one * one, 0) / state.length + EPSILON);
const normed = (state: Float64Array): Float64Array => {
  const scale = 1 / rootMeanSquare(state);
  return state.map((one) => one * scale);
};
const dot = (a: Float64Array, b: Float64Array | Float32Array, from = 0): number => {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[from + at]!;
  return sum;
};
const times = (weights: Float32Array, state: Float64Array): Float64Array =>
  Float64Array.from({ length: weights.length / state.length }, (_, row) => dot(state, weights, row * state.length));

/** Of the greatest number: which it is, and how much greater than the logarithm of the sum of all the others' exponentials. */
const greatest = (logits: Float64Array): { readonly token: number; readonly lead: number } => {
  const token = logits.reduce((best, one, at) => (one > logits[best]! ? at : best), 0);
  const others = logits.filter((_, at) => at !== token);
  const second = Math.max(...others);
  return { token, lead: logits[token]! - second - Math.log(others.reduce((sum, one) => sum + Math.exp(one - second), 0)) };
};

/** Tokens of a text: the model's own ones first, the longest before the others; else bytes, a space being three. */
const tokenizerOf = (texts: readonly string[], kinds: readonly number[]) => {
  const own = texts.map((text, token) => ({ text, token })).filter(({ token }) => kinds[token] === OWN);
  own.sort((a, b) => b.text.length - a.text.length);
  const split = (text: string, from: number): number[] => {
    for (let i = from; i < own.length; i++) {
      const parts = text.split(own[i]!.text);
      if (parts.length > 1) return parts.flatMap((part, at) => [...(at === 0 ? [] : [own[i]!.token]), ...split(part, i + 1)]);
    }
    return [...Buffer.from(text.replaceAll(' ', '\u2581'))].map((byte) => FIRST_BYTE + byte);
  };
  return (text: string): readonly number[] => [BEGIN, ...split(text, 0)];
};

export const openOneLayer = (file: Buffer) => {
  const { fields, values } = openGguf(file);
  const width = fields.get('llama.embedding_length') as number;
  const base = fields.get('llama.rope.freq_base') as number;
  const texts = fields.get('tokenizer.ggml.tokens') as string[];
  const tokens = tokenizerOf(texts, fields.get('tokenizer.ggml.token_type') as number[]);
  const embedding = values('token_embd.weight');
  const [query, key, value, added] = ['q', 'k', 'v', 'output'].map((part) => values(`blk.0.attn_${part}.weight`)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const output = values('output.weight');
  const stateOf = (token: number): Float64Array => Float64Array.from(embedding.subarray(token * width, (token + 1) * width));
  const speeds = Float64Array.from({ length: width / 2 }, (_, pair) => base ** ((-2 * pair) / width));
  const rotated = (vector: Float64Array, position: number): Float64Array => {
    const turned = new Float64Array(width);
    for (const [pair, speed] of speeds.entries()) {
      const [x, y] = [vector[2 * pair]!, vector[2 * pair + 1]!];
      if (x === 0 && y === 0) continue;
      const [cos, sin] = [Math.cos(position * speed), Math.sin(position * speed)];
      turned[2 * pair] = x * cos - y * sin;
      turned[2 * pair + 1] = x * sin + y * cos;
    }
    return turned;
  };

  const weighed = (vectors: readonly Float64Array[], scores: readonly number[]): Float64Array => {
    const most = scores.reduce((a, b) => Math.max(a, b));
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((a, b) => a + b);
    const sum = new Float64Array(width);
    for (const [at, weight] of weights.entries()) for (let i = 0; i < width; i++) sum[i]! += (weight / total) * vectors[at]![i]!;
    return sum;
  };

  /** Tokens that follow a prompt, the likeliest each time, up to the end of the answer or `limit`. */
  const answer = (prompt: string, limit: number) => {
    const keys: Float64Array[] = [];
    const vectors: Float64Array[] = [];
    const read = (token: number): void => {
      const state = normed(stateOf(token));
      keys.push(rotated(times(key, state), keys.length));
      vectors.push(times(value, state));
    };
    const follower = (token: number) => {
      const state = stateOf(token);
      const looking = rotated(times(query, normed(state)), keys.length - 1);
      const found = weighed(
        vectors,
        keys.map((one) => dot(looking, one) / Math.sqrt(width)),
      );
      const moved = times(added, found);
      return greatest(times(output, normed(state.map((one, at) => one + moved[at]!))));
    };
    const asked = tokens(prompt);
    for (const token of asked) read(token);
    let last = asked.at(-1)!;
    const pieces: string[] = [];
    let lead = Number.POSITIVE_INFINITY;
    while (pieces.length < limit) {
      const next = follower(last);
      lead = Math.min(lead, next.lead);
      if (next.token === END) return { text: pieces.join(''), pieces: pieces.length, ended: true, lead };
      pieces.push(texts[next.token]!);
      read(next.token);
      last = next.token;
    }
    return { text: pieces.join(''), pieces: pieces.length, ended: false, lead };
  };
  return { answer };
};
