// Answers from an Ollama server: /api/chat streamed, /api/embed, /api/tags; and which models it has in memory: /api/ps.
//
// O1. Chats go over the wire without the package, which prints what it cannot parse (M3) and goes on without it; everything else with it, one client object
//     per call: the package aborts all requests of a client together, and keeps a list of them.
// O2. The last line is held back until the body has ended, so that the connection is read to its end and can be used again.
// O3. Nothing is shortened in silence. Ollama is told to refuse what does not fit, and says so with 400 and words only: whether the length was the reason
//     is found out by asking the same with a short prompt. Older servers shorten all the same: then their count of the prompt tells.
// O4. A model that is not known to be in memory is loaded by its first call, and nothing comes meanwhile: its first byte may take as long as the whole call.
// O5. The same num_ctx and keep_alive in every request: another num_ctx makes Ollama load the model anew.
import { Ollama } from 'ollama';
import { countedOr, tokensOf } from './accounting.js';
import { systemClock } from './clock.js';
import type { Limits } from './deadline.js';
import { modelFault } from './faults.js';
import type { HttpCall } from './http-call.js';
import { openAnswer } from './ollama-answer.js';
import { chatRequestOf, contextIn, type OllamaTarget, openLines, sameModel, targeted } from './ollama-wire.js';
import type { GenerateChunk, GenerateRequest, ModelInfo, ModelRunner, Residency } from './runner.js';
import { callOf, probe, type ServerRunnerOptions } from './server-runner.js';
import { type Address, addressOf, type HttpRequest } from './transport.js';

export interface OllamaOptions extends ServerRunnerOptions, OllamaTarget {
  /** Size of the context window the server is asked for, in tokens. */
  readonly context_tokens: number;
  /** How long the server keeps the model after a call, in seconds; -1: until it is told otherwise. Default: the server's own. */
  readonly keep_alive_s?: number;
  /** For an Ollama behind something that asks for one. */
  readonly api_key?: string;
}

const STREAM_TYPES = ['application/x-ndjson', 'application/json'];
/** Most tokens that a byte of a prompt is (a space, to tokenizers that write it as three bytes), and that a template adds. */
const TOKENS_A_BYTE = 3;
const TEMPLATE_TOKENS = 1_024;

const keyHeader = ({ api_key }: OllamaOptions): Readonly<Record<string, string>> =>
  api_key === undefined ? {} : { authorization: `Bearer ${api_key}` };

const clientOf = (options: OllamaOptions, call: HttpCall): Ollama =>
  new Ollama({ host: options.base_url, fetch: call.fetch, headers: keyHeader(options) });

const bytesOf = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);

type Asked = <T>(signal: AbortSignal, work: (client: Ollama) => Promise<T>, limits?: Limits) => Promise<T>;

/** O4. */
const limitsOf = (options: OllamaOptions, loaded: boolean | undefined): Limits =>
  loaded === true ? options : { ...options, first_timeout_ms: options.timeout_ms };

/** One request that is not streamed. */
const askedOf =
  (options: OllamaOptions): Asked =>
  async (signal, work, limits = options) => {
    signal.throwIfAborted();
    const call = callOf(options, signal, { limits });
    try {
      return await work(clientOf(options, call));
    } catch (error) {
      throw call.explain(error);
    } finally {
      call.close();
    }
  };

/** Was it the length of the prompt that was refused (O3)? `short` asks the same with another prompt. */
const tooLong = async (options: OllamaOptions, call: HttpCall, bytes: number, short: () => Promise<unknown>): Promise<boolean> => {
  if (call.refused !== 400 || bytes * TOKENS_A_BYTE + TEMPLATE_TOKENS < options.context_tokens) return false;
  return short().then(
    () => true,
    () => false,
  );
};

const chatOf = (options: OllamaOptions, to: Address, request: GenerateRequest): HttpRequest => ({
  to,
  method: 'POST',
  headers: { ...keyHeader(options), 'content-type': 'application/json', accept: 'application/json' },
  body: JSON.stringify(chatRequestOf(options, request)),
});

const embedOf =
  (options: OllamaOptions, asked: Asked): ModelRunner['embed'] =>
  async (texts, signal, loaded) => {
    signal.throwIfAborted();
    const { id } = options;
    const request = { ...targeted(options), truncate: false };
    const call = callOf(options, signal, { limits: limitsOf(options, loaded) });
    try {
      const { embeddings, prompt_eval_count } = await clientOf(options, call).embed({ ...request, input: [...texts] });
      if (embeddings.length !== texts.length) throw modelFault(id, 'model_garbage', { detail: 'not one vector for each text' });
      return { vectors: embeddings, input_tokens: countedOr(prompt_eval_count, () => tokensOf(texts.join('').length)) };
    } catch (error) {
      const fault = call.explain(error);
      const again = () => asked(signal, (client) => client.embed({ ...request, input: ['.'] }));
      if (await tooLong(options, call, bytesOf(texts), again))
        throw modelFault(id, 'model_context', { detail: 'HTTP 400, and not for a short text' });
      throw fault;
    } finally {
      call.close();
    }
  };

const residencyOf = (options: OllamaOptions, asked: Asked): Residency => ({
  loaded: (signal) =>
    asked(signal, async (client) =>
      (await client.ps()).models.map((model) => {
        const { context_length } = model as { context_length?: number };
        const bytes = model.size_vram || model.size;
        return {
          name: model.name,
          ...(bytes ? { memory_bytes: bytes } : {}),
          ...(context_length === undefined ? {} : { context_tokens: context_length }),
        };
      }),
    ),
  load: (signal) =>
    asked(
      signal,
      async (client) => void (await client.generate({ ...targeted(options), prompt: '', stream: false })),
      limitsOf(options, false),
    ),
  unload: (signal) =>
    asked(signal, async (client) => void (await client.generate({ model: options.model, prompt: '', keep_alive: 0, stream: false }))),
});

export const openOllama = (options: OllamaOptions): ModelRunner => {
  const { id, clock = systemClock } = options;
  const asked = askedOf(options);
  const to = addressOf(options.base_url, '/api/chat');
  let digest: string | undefined;

  async function* generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    signal.throwIfAborted();
    const { traceparent, loaded } = request;
    const call = callOf(options, signal, { accepts: STREAM_TYPES, limits: limitsOf(options, loaded), traceparent });
    try {
      const { read } = await call.send(chatOf(options, to, request));
      const lines = openLines(id);
      const answer = openAnswer(options, request);
      let piece: Uint8Array | undefined;
      do {
        piece = await read();
        for (const line of lines(piece)) for (const chunk of answer.take(line)) yield chunk;
      } while (piece !== undefined);
      const done = answer.done();
      yield digest === undefined ? done : { ...done, model_digest: digest };
    } catch (error) {
      const fault = call.explain(error);
      const short = { ...request, messages: [{ role: 'user' as const, content: '.' }], max_tokens: 1 };
      const again = () => asked(signal, (client) => client.chat({ ...chatRequestOf(options, short), stream: false }));
      if (await tooLong(options, call, bytesOf(request.messages.map(({ content }) => content)), again))
        throw modelFault(id, 'model_context', { detail: 'HTTP 400, and not for a short prompt' });
      throw fault;
    } finally {
      call.close();
    }
  }

  const list = (signal: AbortSignal): Promise<readonly ModelInfo[]> =>
    asked(signal, async (client) => {
      const infos = (await client.list()).models.map((model) => ({ name: model.name, ...(model.digest ? { digest: model.digest } : {}) }));
      digest = infos.find(({ name }) => sameModel(name, options.model))?.digest;
      return infos;
    });

  const models: ModelRunner['models'] = async (signal) => {
    const infos = await list(signal);
    const ours = infos.find(({ name }) => sameModel(name, options.model));
    if (ours === undefined) return infos;
    const context_tokens = contextIn((await asked(signal, (client) => client.show({ model: options.model }))).model_info);
    return infos.map((info) => (info === ours && context_tokens !== undefined ? { ...info, context_tokens } : info));
  };

  return {
    provider: options.provider ?? 'ollama',
    scripted: false,
    generate,
    models,
    embed: embedOf(options, asked),
    residency: residencyOf(options, asked),
    health: (signal) =>
      probe(id, clock, async () =>
        (await list(signal)).some(({ name }) => sameModel(name, options.model))
          ? undefined
          : `model ${id}: the Ollama server answers but does not have it; run: ollama pull ${options.model}`,
      ),
    close: async () => {},
  };
};
