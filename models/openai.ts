// Answers from any server that speaks OpenAI's chat completions: OpenAI, vLLM, llama.cpp, Anthropic's compatible endpoint.
//
// A1. The package neither retries nor logs: retrying is scheduling's, and its log lines quote answers (M3).
// A2. Keys and addresses come from servers.yaml alone, never from the package's own environment variables.
// A3. A stream is complete when a chunk told its finish_reason; one that ends without is garbage. Usage may be missing: then it is estimated.
// A4. A prompt that is too long is told by its code; where a server answers 400 without one (vLLM, Anthropic), by its estimated length.
import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from 'openai';
import { isFault } from '../schemas/index.js';
import { countedOr, promptTokensOf, tokensOf } from './accounting.js';
import { systemClock } from './clock.js';
import { codeOfStatus, modelFault } from './faults.js';
import type { HttpCall } from './http-call.js';
import { type Dialect, dialectOf } from './openai-dialect.js';
import { chatRequestOf, contextIn, finishOf, openToolCalls } from './openai-wire.js';
import type { GenerateChunk, GenerateRequest, ModelInfo, ModelRunner } from './runner.js';
import { callOf, probe, type ServerRunnerOptions } from './server-runner.js';

export interface OpenAiOptions extends ServerRunnerOptions {
  /** Local servers need none. */
  readonly api_key?: string;
  /** Of the model, in tokens; tells a prompt that is too long where the server has no code for it. */
  readonly context_tokens?: number;
}

/** The package insists on a key; servers without keys ignore it. */
const NO_KEY = 'none';
const STREAM_TYPES = ['text/event-stream'];
/** Above our own limits, which end every call first. */
const PACKAGE_TIMEOUT_MS = 2_147_483_647;

/** What a header may hold. The package's own words about anything else would quote the key. */
const SENDABLE = /^[\x21-\x7e]+$/;

const clientOf = (options: OpenAiOptions, call: HttpCall, headers: Readonly<Record<string, string | null>> = {}): OpenAI => {
  const { id, api_key = NO_KEY } = options;
  if (!SENDABLE.test(api_key))
    throw modelFault(id, 'model_rejected', { detail: 'the key holds what no header can; check the variable that api_key_env names' });
  return new OpenAI({
    baseURL: options.base_url,
    apiKey: api_key,
    // Said again here, because headers from the package's environment variable would win over its own.
    defaultHeaders: { authorization: `Bearer ${api_key}`, ...headers },
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

/** An error event inside a stream that began well has no status of its own; some servers put one into `code`. */
const streamFault = (id: string, error: APIError): unknown => {
  const status = Number(error.code);
  const code = typeof error.code === 'string' ? error.code : error.type;
  return modelFault(id, codeOfStatus(status >= 400 && status < 600 ? status : 500, code), { detail: 'an error in the stream' });
};

const explained = (id: string, call: HttpCall, error: unknown): unknown =>
  error instanceof APIError && error.status === undefined && !(error instanceof APIConnectionError) && !(error instanceof APIUserAbortError)
    ? call.explain(streamFault(id, error))
    : call.explain(error);

async function* chat(options: OpenAiOptions, dialect: Dialect, call: HttpCall, request: GenerateRequest): AsyncGenerator<GenerateChunk> {
  const { id, model } = options;
  const calls = openToolCalls(id);
  let chars = 0;
  let finish: string | undefined;
  let usage: OpenAI.CompletionUsage | undefined;
  let responseModel: string | undefined;
  for await (const chunk of await clientOf(options, call).chat.completions.create(chatRequestOf(model, dialect, request))) {
    if (typeof chunk !== 'object' || chunk === null)
      throw modelFault(id, 'model_garbage', { detail: 'an event of the stream is no object' });
    responseModel ??= chunk.model;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices?.find(({ index = 0 }) => index === 0);
    if (choice === undefined) continue;
    if (choice.delta?.refusal || choice.finish_reason === 'content_filter') throw modelFault(id, 'model_refused');
    const text = choice.delta?.content ?? '';
    if (typeof text !== 'string') throw modelFault(id, 'model_garbage', { detail: 'content is no text' });
    const pieces = choice.delta?.tool_calls ?? [];
    if (!Array.isArray(pieces)) throw modelFault(id, 'model_garbage', { detail: 'tool_calls is no list' });
    const ended = finish !== undefined;
    if (text !== '') {
      if (ended) throw modelFault(id, 'model_garbage', { detail: 'the stream goes on after its end' });
      chars += text.length;
      yield { kind: 'text', text };
    }
    for (const piece of pieces) {
      const part = calls.take(piece);
      if (part === undefined) continue;
      if (ended) throw modelFault(id, 'model_garbage', { detail: 'the stream goes on after its end' });
      yield part;
    }
    finish = choice.finish_reason ?? finish;
  }
  // The package ends a stream silently when the call was aborted.
  if (call.signal.aborted) throw call.signal.reason;
  if (finish === undefined) throw modelFault(id, 'model_garbage', { detail: 'the stream ended without its end' });
  if (chars + calls.count === 0 && finish === 'stop') throw modelFault(id, 'model_garbage', { detail: 'an empty answer' });
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  yield {
    kind: 'done',
    finish_reason: finishOf(finish, calls.count),
    input_tokens: countedOr(usage?.prompt_tokens, () => promptTokensOf(request)),
    output_tokens: countedOr(usage?.completion_tokens, () => tokensOf(chars)),
    ...(usage === undefined ? { estimated: true } : {}),
    ...(typeof cached === 'number' && Number.isInteger(cached) && cached >= 0 ? { cached_input_tokens: cached } : {}),
    ...(responseModel === undefined ? {} : { response_model: responseModel }),
  };
}

/** Of /slots, which llama.cpp's server has beside /v1: those that work. */
const busyIn = (slots: unknown): number | undefined =>
  Array.isArray(slots) ? slots.filter((slot: { is_processing?: unknown } | null) => slot?.is_processing === true).length : undefined;

export const openOpenAi = (options: OpenAiOptions): ModelRunner => {
  const { id, clock = systemClock, context_tokens } = options;
  const dialect = dialectOf(options);

  const asked = async <T>(signal: AbortSignal, work: (call: HttpCall) => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    const call = callOf(options, signal);
    try {
      return await work(call);
    } catch (error) {
      throw explained(id, call, error);
    } finally {
      call.close();
    }
  };

  async function* generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    signal.throwIfAborted();
    const call = callOf(options, signal, { accepts: STREAM_TYPES, traceparent: request.traceparent });
    try {
      yield* chat(options, dialect, call, request);
    } catch (error) {
      const fault = explained(id, call, error);
      const tokens = promptTokensOf(request);
      // Servers without a code for it (A4).
      if (
        call.refused === 400 &&
        isFault(fault) &&
        fault.code === 'model_rejected' &&
        context_tokens !== undefined &&
        tokens > context_tokens
      )
        throw modelFault(id, 'model_context', { detail: `HTTP 400, and the prompt is about ${tokens} tokens long` });
      throw fault;
    } finally {
      call.close();
    }
  }

  const models = (signal: AbortSignal): Promise<readonly ModelInfo[]> =>
    asked(signal, async (call) =>
      (await clientOf(options, call, dialect.listHeaders(options.api_key)).models.list()).data.map((model) => {
        const tokens = contextIn(model);
        return { name: model.id, ...(tokens === undefined ? {} : { context_tokens: tokens }) };
      }),
    );

  return {
    provider: options.provider ?? 'openai',
    scripted: false,
    generate,
    models,
    busy: (signal) =>
      asked(signal, async (call) => {
        try {
          return busyIn(await (await call.fetch(new URL('../slots', `${options.base_url}/`))).json());
        } catch (error) {
          // It has none, or does not show them.
          if (call.refused !== undefined) return undefined;
          throw error;
        }
      }),
    embed: (texts, signal) =>
      asked(signal, async (call) => {
        const answer = await clientOf(options, call).embeddings.create({
          model: options.model,
          input: [...texts],
          encoding_format: 'float',
        });
        const vectors = [...answer.data].sort((a, b) => a.index - b.index).map((item) => item.embedding);
        if (vectors.length !== texts.length) throw modelFault(id, 'model_garbage', { detail: 'not one vector for each text' });
        return { vectors, input_tokens: countedOr(answer.usage?.prompt_tokens, () => tokensOf(texts.join('').length)) };
      }),
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
