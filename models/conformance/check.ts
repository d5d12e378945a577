// What a check is, and how checks ask. A check tries one thing of a model server and says what came of it.
//
// F1. Evidence is sizes, times and codes, never text: neither of a prompt nor of an answer.
// F2. Every check is short: its calls have a limit of tokens each, and it has CHECK_LIMIT_MS in all.
// F3. A check never throws but for its signal; what a runner throws is its evidence.
import { type Fault, isFault } from '../../schemas/index.js';
import type { Clock } from '../clock.js';
import type { FinishReason, GenerateChunk, GenerateRequest, ModelRunner, ToolCall } from '../runner.js';

export const CHECK_LIMIT_MS = 120_000;
/** An answer of noise, or of an odd mood, is asked for again with another seed. */
const TRIES = 3;

/**
 * ok: it works. partly: it works in a way that DATS has to know. missing: the server does not have it, and DATS does without.
 * failed: it does not work where it should.
 */
export const CHECK_OUTCOMES = ['ok', 'partly', 'missing', 'failed'] as const;
export type CheckOutcome = (typeof CHECK_OUTCOMES)[number];

export interface Finding {
  readonly outcome: CheckOutcome;
  /** Sizes, times and codes (F1). */
  readonly evidence: string;
}

/** What checks know of the model beside its runner: as in servers.yaml. */
export interface CheckedModel {
  /** As the server names it. */
  readonly model: string;
  readonly context_tokens: number;
  readonly concurrency: number;
  /** Its calls are paid for: nothing long is sent to it. */
  readonly paid: boolean;
}

export interface CheckContext {
  readonly runner: ModelRunner;
  readonly model: CheckedModel;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface Check {
  readonly name: string;
  /** What is tried, in a few words. */
  readonly tries: string;
  /** Calls it makes at most, and their tokens at most, prompt and answer together; a prompt that is to be refused is not counted. */
  readonly calls: number;
  readonly tokens: number;
  /** DATS cannot work with a server that fails this. */
  readonly needed?: true;
  run(context: CheckContext): Promise<Finding>;
  /** What DATS does about each outcome but `ok`. */
  readonly about: Readonly<Record<Exclude<CheckOutcome, 'ok'>, string>>;
}

export interface Heard {
  readonly text: string;
  readonly pieces: number;
  readonly calls: readonly ToolCall[];
  readonly finish_reason: FinishReason;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly estimated: boolean;
  /** Milliseconds from the call. */
  readonly first_ms: number;
  readonly last_ms: number;
  readonly took_ms: number;
}

/** Reads a whole answer. @throws what the runner throws */
export const heard = async ({ runner, signal, clock }: CheckContext, request: GenerateRequest): Promise<Heard> => {
  const started = clock.now();
  const calls: { id: string; name: string; arguments: string }[] = [];
  let [text, pieces, first, last] = ['', 0, 0, 0];
  let done: Extract<GenerateChunk, { kind: 'done' }> | undefined;
  for await (const chunk of runner.generate(request, signal)) {
    if (chunk.kind === 'done') {
      done = chunk;
      continue;
    }
    last = clock.now() - started;
    if (pieces === 0) first = last;
    pieces += 1;
    if (chunk.kind === 'text') text += chunk.text;
    else {
      calls[chunk.index] ??= { id: chunk.id ?? '', name: chunk.name ?? '', arguments: '' };
      calls[chunk.index]!.arguments += chunk.arguments ?? '';
    }
  }
  const { finish_reason, input_tokens, output_tokens, estimated = false } = done!;
  const took_ms = clock.now() - started;
  return {
    text,
    pieces,
    calls: calls.filter(Boolean),
    finish_reason,
    input_tokens,
    output_tokens,
    estimated,
    first_ms: first,
    last_ms: last,
    took_ms,
  };
};

/** Asks until `good`, each time with another seed; the last answer where none was. @throws what the last call threw */
export const heardOf = async (context: CheckContext, request: GenerateRequest, good: (answer: Heard) => boolean): Promise<Heard> => {
  for (let tried = 1; ; tried++) {
    try {
      const answer = await heard(context, { ...request, seed: tried });
      if (good(answer) || tried === TRIES) return answer;
    } catch (error) {
      // An answer may be empty by chance.
      if (tried === TRIES || !isFault(error) || error.code !== 'model_garbage') throw error;
    }
  }
};

export const user = (content: string): GenerateRequest['messages'] => [{ role: 'user', content }];

const isMissing = ({ code }: Fault): boolean => code === 'model_rejected' || code === 'model_error' || code === 'model_missing';

/** A Fault as evidence. `refusal`: what it means that the server does not take the request. @throws anything else */
export const findingOf = (error: unknown, refusal: CheckOutcome = 'failed'): Finding => {
  if (!isFault(error)) throw error;
  return { outcome: isMissing(error) ? refusal : 'failed', evidence: error.code };
};

export const shownMs = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);
