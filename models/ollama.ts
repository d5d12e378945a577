// Answers from an Ollama server: /api/chat streamed, /api/embed, /api/tags.
//
// O1. One client object per call: the package aborts all requests of a client together, and keeps a list of them.
// O2. Every line is looked at before the package sees it, because the package prints what it cannot parse (M3) and goes on without it.
// O3. The last line is held back until the body has ended, so that the connection is read to its end and can be used again.
import { type ChatRequest, Ollama } from 'ollama';
import { countedOr, promptTokensOf, tokensOf } from './accounting.js';
import { systemClock } from './clock.js';
import { modelFault } from './faults.js';
import type { HttpCall } from './http-call.js';
import type { GenerateChunk, GenerateRequest, ModelInfo, ModelRunner } from './runner.js';
import { callOf, probe, type ServerRunnerOptions } from './server-runner.js';

export interface OllamaOptions extends ServerRunnerOptions {
  /** Size of the context window the server is asked for, in tokens. */
  readonly context_tokens: number;
}

/** Checks NDJSON line by line (O2, O3). */
const lineInspector = (id: string): ((piece: Uint8Array | undefined) => Uint8Array | undefined) => {
  const decoder = new TextDecoder();
  let rest = '';
  let last = '';
  const checked = (line: string): string => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw modelFault(id, 'model_garbage', { detail: 'a line of the stream is not JSON' });
    }
    if (typeof value !== 'object' || value === null) throw modelFault(id, 'model_garbage', { detail: 'a line of the stream is no object' });
    if ('error' in value) throw modelFault(id, 'model_error', { detail: 'an error in the stream' });
    if ((value as { done?: unknown }).done !== true) return `${line}\n`;
    last = `${line}\n`;
    return '';
  };
  return (piece) => {
    rest += piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    const lines = rest.split('\n');
    rest = piece === undefined ? '' : (lines.pop() ?? '');
    let out = '';
    for (const line of lines) if (line.trim() !== '') out += checked(line);
    if (piece === undefined) out += last;
    return out === '' ? undefined : Buffer.from(out);
  };
};

const clientOf = (options: OllamaOptions, call: HttpCall): Ollama => new Ollama({ host: options.base_url, fetch: call.fetch });

const chatRequestOf = (options: OllamaOptions, request: GenerateRequest): ChatRequest & { stream: true } => ({
  model: options.model,
  messages: request.messages.map(({ role, content }) => ({ role, content })),
  stream: true,
  ...(request.json === true ? { format: 'json' } : {}),
  options: {
    num_ctx: options.context_tokens,
    ...(request.max_tokens === undefined ? {} : { num_predict: request.max_tokens }),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(request.stop === undefined ? {} : { stop: [...request.stop] }),
  },
});

/** Ollama names a model without a tag `NAME:latest`. */
const sameModel = (a: string, b: string): boolean => a === b || `${a}:latest` === b || a === `${b}:latest`;

export const openOllama = (options: OllamaOptions): ModelRunner => {
  const { id, clock = systemClock } = options;
  let digest: string | undefined;

  async function* generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    signal.throwIfAborted();
    const call = callOf(options, signal, { inspect: lineInspector(id), traceparent: request.traceparent });
    try {
      let chars = 0;
      for await (const part of await clientOf(options, call).chat(chatRequestOf(options, request))) {
        const text = part.message?.content ?? '';
        if (typeof text !== 'string') throw modelFault(id, 'model_garbage', { detail: 'content is no text' });
        if (text !== '') {
          chars += text.length;
          yield { kind: 'text', text };
        }
        if (!part.done) continue;
        yield {
          kind: 'done',
          finish_reason: part.done_reason === 'stop' || part.done_reason === 'length' ? part.done_reason : 'other',
          input_tokens: countedOr(part.prompt_eval_count, () => promptTokensOf(request)),
          output_tokens: countedOr(part.eval_count, () => tokensOf(chars)),
          ...(typeof part.model === 'string' ? { response_model: part.model } : {}),
          ...(digest === undefined ? {} : { model_digest: digest }),
        };
      }
    } catch (error) {
      throw call.explain(error);
    } finally {
      call.close();
    }
  }

  const models = async (signal: AbortSignal): Promise<readonly ModelInfo[]> => {
    signal.throwIfAborted();
    const call = callOf(options, signal);
    try {
      const { models: listed } = await clientOf(options, call).list();
      const infos = listed.map(({ name, digest }) => ({ name, ...(digest ? { digest } : {}) }));
      digest = infos.find(({ name }) => sameModel(name, options.model))?.digest;
      return infos;
    } catch (error) {
      throw call.explain(error);
    } finally {
      call.close();
    }
  };

  return {
    provider: options.provider ?? 'ollama',
    scripted: false,
    generate,
    models,
    embed: async (texts, signal) => {
      signal.throwIfAborted();
      const call = callOf(options, signal);
      try {
        const { embeddings, prompt_eval_count } = await clientOf(options, call).embed({ model: options.model, input: [...texts] });
        if (embeddings.length !== texts.length) throw modelFault(id, 'model_garbage', { detail: 'not one vector for each text' });
        return { vectors: embeddings, input_tokens: countedOr(prompt_eval_count, () => tokensOf(texts.join('').length)) };
      } catch (error) {
        throw call.explain(error);
      } finally {
        call.close();
      }
    },
    health: (signal) =>
      probe(id, clock, async () =>
        (await models(signal)).some(({ name }) => sameModel(name, options.model))
          ? undefined
          : `model ${id}: the Ollama server answers but does not have it; run: ollama pull ${options.model}`,
      ),
    close: async () => {},
  };
};
