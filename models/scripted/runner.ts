// The runner without a model: recorded answers and ordered failures, for demos, tests and where no model server is.
//
// S1. Deterministic: request, script and `random` decide everything; nothing is counted between calls.
// S2. An answer without latency or failure uses no timer and no controller: it costs microseconds.
// S3. Where no rule matches it says so: the generic answer is honest that no model was asked.
import { createHash } from 'node:crypto';
import { promptTokensOf, tokensOf } from '../accounting.js';
import { type Clock, systemClock, wait } from '../clock.js';
import { type Limits, openDeadline } from '../deadline.js';
import { modelFault } from '../faults.js';
import type { GenerateChunk, GenerateRequest, ModelFaultCode, ModelRunner } from '../runner.js';
import { genericAnswer, genericJson, type ReadyAnswer } from './answers.js';
import { embedding } from './embedding.js';
import { openRules } from './rules.js';
import type { Fail, Script, ScriptedAnswer } from './script.js';

export interface ScriptedOptions extends Partial<Limits> {
  /** Id in servers.yaml. */
  readonly id: string;
  readonly script?: Script;
  readonly provider?: string;
  /** In [0, 1); decides latencies that are given as a range. */
  readonly random?: () => number;
  readonly clock?: Clock;
}

const DEFAULT_LIMITS: Limits = { idle_timeout_ms: 60_000, timeout_ms: 600_000 };

const FAULTS: Readonly<Record<Exclude<Fail, 'hang'>, ModelFaultCode>> = {
  garbage: 'model_garbage',
  refuse: 'model_refused',
  die_mid_stream: 'model_unreachable',
  unreachable: 'model_unreachable',
  error: 'model_error',
  overloaded: 'model_overloaded',
  reject: 'model_rejected',
  missing: 'model_missing',
  too_long: 'model_context',
};

/** How many chunks come before the failure: all, half, or none. */
const chunksBefore = (fail: Fail, chunks: number): number =>
  fail === 'hang' ? chunks : fail === 'die_mid_stream' || fail === 'garbage' ? Math.ceil(chunks / 2) : 0;

export const openScripted = (options: ScriptedOptions): ModelRunner => {
  const { id, script, clock = systemClock, random = Math.random } = options;
  const limits: Limits = {
    idle_timeout_ms: options.idle_timeout_ms ?? DEFAULT_LIMITS.idle_timeout_ms,
    timeout_ms: options.timeout_ms ?? DEFAULT_LIMITS.timeout_ms,
  };
  const find = script === undefined ? () => undefined : openRules(script);
  const digest = createHash('sha256')
    .update(JSON.stringify(script ?? null))
    .digest('hex');

  const doneOf = (request: GenerateRequest, { answer, output_tokens, finish_reason }: ReadyAnswer): GenerateChunk => ({
    kind: 'done',
    finish_reason,
    input_tokens: answer.tokens?.input ?? promptTokensOf(request),
    output_tokens,
    response_model: id,
    model_digest: digest,
  });

  const latency = (ms: ScriptedAnswer['latency_ms']): number => (typeof ms === 'number' ? ms : ms[0] + (ms[1] - ms[0]) * random());

  async function* slowly(request: GenerateRequest, ready: ReadyAnswer, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    const { answer, chunks } = ready;
    const ending = new AbortController();
    const deadline = openDeadline(id, signal, limits, clock, (reason) => ending.abort(reason));
    const pause = async (ms: number): Promise<void> => {
      if (ms > 0) await wait(ms, ending.signal, clock);
      deadline.touch();
    };
    try {
      await pause(latency(answer.latency_ms));
      const said = answer.fail === undefined ? chunks.length : chunksBefore(answer.fail, chunks.length);
      for (let i = 0; i < said; i++) {
        if (i > 0) await pause(latency(answer.chunk_latency_ms));
        ending.signal.throwIfAborted();
        yield chunks[i]!;
      }
      if (answer.fail === 'hang') await wait(Number.POSITIVE_INFINITY, ending.signal, clock);
      else if (answer.fail !== undefined)
        throw modelFault(id, FAULTS[answer.fail], {
          detail: 'ordered by the script',
          ...(answer.retry_after_ms === undefined ? {} : { retryAfterMs: answer.retry_after_ms }),
        });
      yield doneOf(request, ready);
    } finally {
      deadline.close();
    }
  }

  async function* instantly(request: GenerateRequest, ready: ReadyAnswer, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    for (const chunk of ready.chunks) {
      if (signal.aborted) throw signal.reason;
      yield chunk;
    }
    if (signal.aborted) throw signal.reason;
    yield doneOf(request, ready);
  }

  return {
    provider: options.provider ?? 'scripted',
    scripted: true,
    generate: (request, signal) => {
      const ready = find(request) ?? (request.json === true || request.json_schema !== undefined ? genericJson : genericAnswer);
      return ready.instant ? instantly(request, ready, signal) : slowly(request, ready, signal);
    },
    embed: async (texts, signal) => {
      signal.throwIfAborted();
      return { vectors: texts.map(embedding), input_tokens: texts.reduce((sum, text) => sum + tokensOf(text.length), 0) };
    },
    models: async (signal) => {
      signal.throwIfAborted();
      return [{ name: id, digest }];
    },
    health: async () => ({ ok: true, latency_ms: 0 }),
    close: async () => {},
  };
};
