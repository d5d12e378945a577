// Answers from any server that speaks OpenAI's chat completions: OpenAI, vLLM, llama.cpp, Anthropic's compatible endpoint.
//
// Chats go over the wire without the package, which costs a third of a millisecond for each; vectors and lists of models with it.
//
// A1. The package neither retries nor logs: retrying is scheduling's, and its log lines quote answers (M3).
// A2. Keys and addresses come from servers.yaml alone, never from the package's own environment variables.
// A3. A prompt that is too long is told by its code; where a server answers 400 without one (vLLM, Anthropic), by its estimated length.
import OpenAI from 'openai';
import { isFault } from '../schemas/index.js';
import { countedOr, promptTokensOf, tokensOf } from './accounting.js';
import { systemClock } from './clock.js';
import { modelFault } from './faults.js';
import type { HttpCall } from './http-call.js';
import { openAnswer } from './openai-answer.js';
import { type Dialect, dialectOf } from './openai-dialect.js';
import { chatRequestOf, contextIn } from './openai-wire.js';
import type { GenerateChunk, GenerateRequest, ModelInfo, ModelRunner } from './runner.js';
import { callOf, probe, type ServerRunnerOptions } from './server-runner.js';
import { openEvents } from './sse.js';
import { type Address, addressOf, type HttpRequest } from './transport.js';

export interface OpenAiOptions extends ServerRunnerOptions {
  /** Local servers need none. */
  readonly api_key?: string;
  /** Of the model, in tokens; tells a prompt that is too long where the server has no code for it. */
  readonly context_tokens?: number;
}

/** Where chats go, and how they are said there. */
interface Server {
  readonly to: Address;
  readonly dialect: Dialect;
}

/** The package insists on a key; servers without keys ignore it. */
const NO_KEY = 'none';
const STREAM_TYPES = ['text/event-stream'];
/** Above our own limits, which end every call first. */
const PACKAGE_TIMEOUT_MS = 2_147_483_647;

/** What a header may hold. The package's own words about anything else would quote the key. */
const SENDABLE = /^[\x21-\x7e]+$/;

const authorizationOf = ({ id, api_key = NO_KEY }: OpenAiOptions): string => {
  if (!SENDABLE.test(api_key))
    throw modelFault(id, 'model_rejected', { detail: 'the key holds what no header can; check the variable that api_key_env names' });
  return `Bearer ${api_key}`;
};

const clientOf = (options: OpenAiOptions, call: HttpCall, headers: Readonly<Record<string, string | null>> = {}): OpenAI => {
  const { api_key = NO_KEY } = options;
  const authorization = authorizationOf(options);
  return new OpenAI({
    baseURL: options.base_url,
    apiKey: api_key,
    // Said again here, because headers from the package's environment variable would win over its own.
    defaultHeaders: { authorization, ...headers },
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: PACKAGE_TIMEOUT_MS,
    logLevel: 'off',
    fetch: call.fetch,
  });
};

const chatOf = (options: OpenAiOptions, { to, dialect }: Server, request: GenerateRequest): HttpRequest => ({
  to,
  method: 'POST',
  headers: { authorization: authorizationOf(options), 'content-type': 'application/json', accept: 'application/json' },
  body: JSON.stringify(chatRequestOf(options.model, dialect, request)),
});

/** One request that is not streamed. */
const asked = async <T>(options: OpenAiOptions, signal: AbortSignal, work: (call: HttpCall) => Promise<T>): Promise<T> => {
  signal.throwIfAborted();
  const call = callOf(options, signal);
  try {
    return await work(call);
  } catch (error) {
    throw call.explain(error);
  } finally {
    call.close();
  }
};

const embedOf =
  (options: OpenAiOptions): ModelRunner['embed'] =>
  (texts, signal) =>
    asked(options, signal, async (call) => {
      const request = { model: options.model, input: [...texts], encoding_format: 'float' as const };
      const answer = await clientOf(options, call).embeddings.create(request);
      const vectors = [...answer.data].sort((a, b) => a.index - b.index).map((item) => item.embedding);
      if (vectors.length !== texts.length) throw modelFault(options.id, 'model_garbage', { detail: 'not one vector for each text' });
      return { vectors, input_tokens: countedOr(answer.usage?.prompt_tokens, () => tokensOf(texts.join('').length)) };
    });

/** Of /slots, which llama.cpp's server has beside /v1: those that work. */
const busyIn = (slots: unknown): number | undefined =>
  Array.isArray(slots) ? slots.filter((slot: { is_processing?: unknown } | null) => slot?.is_processing === true).length : undefined;

const busyOf =
  (options: OpenAiOptions): NonNullable<ModelRunner['busy']> =>
  (signal) =>
    asked(options, signal, async (call) => {
      try {
        const headers = options.api_key === undefined ? {} : { authorization: `Bearer ${options.api_key}` };
        return busyIn(await (await call.fetch(new URL('../slots', `${options.base_url}/`), { headers })).json());
      } catch (error) {
        // It has none, or does not show them.
        if (call.refused !== undefined) return undefined;
        throw error;
      }
    });

export const openOpenAi = (options: OpenAiOptions): ModelRunner => {
  const { id, clock = systemClock, context_tokens } = options;
  const server = { to: addressOf(options.base_url, '/chat/completions'), dialect: dialectOf(options) };

  async function* generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    signal.throwIfAborted();
    const call = callOf(options, signal, { accepts: STREAM_TYPES, traceparent: request.traceparent });
    try {
      const { read } = await call.send(chatOf(options, server, request));
      const events = openEvents();
      const answer = openAnswer(id, request);
      // To the end of the body, so that the connection can be used again.
      for (let piece = await read(); piece !== undefined; piece = await read())
        for (const data of events(piece)) for (const chunk of answer.take(data)) yield chunk;
      yield answer.done();
    } catch (error) {
      const fault = call.explain(error);
      const tokens = promptTokensOf(request);
      const unsaid = call.refused === 400 && isFault(fault) && fault.code === 'model_rejected';
      if (unsaid && context_tokens !== undefined && tokens > context_tokens)
        throw modelFault(id, 'model_context', { detail: `HTTP 400, and the prompt is about ${tokens} tokens long` });
      throw fault;
    } finally {
      call.close();
    }
  }

  const models = (signal: AbortSignal): Promise<readonly ModelInfo[]> =>
    asked(options, signal, async (call) =>
      (await clientOf(options, call, server.dialect.listHeaders(options.api_key)).models.list()).data.map((model) => {
        const tokens = contextIn(model);
        return { name: model.id, ...(tokens === undefined ? {} : { context_tokens: tokens }) };
      }),
    );

  return {
    provider: options.provider ?? 'openai',
    scripted: false,
    generate,
    models,
    busy: busyOf(options),
    embed: embedOf(options),
    health: (signal) =>
      probe(id, clock, async () => {
        const listed = await models(signal);
        // Some servers list nothing, or list under another name than they accept: only a list that knows better is believed.
        return listed.length === 0 || listed.some(({ name }) => name === options.model)
          ? undefined
          : `model ${id}: the server answers but does not list "${options.model}"; it lists ${listed.length} others; correct \`model\` in servers.yaml`;
      }),
    close: async () => {},
  };
};
