// Answers from any server that speaks OpenAI's chat completions: OpenAI, vLLM, llama.cpp, Anthropic's compatible endpoint.
//
// A1. The package neither retries nor logs: retrying is scheduling's, and its log lines quote answers (M3).
// A2. Keys and addresses come from servers.yaml alone, never from the package's own environment variables.
// A3. A stream is complete when a chunk told its finish_reason; one that ends without is garbage. Usage may be missing: then it is estimated.
import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from 'openai';
import { countedOr, promptTokensOf, tokensOf } from './accounting.js';
import { systemClock } from './clock.js';
import { codeOfStatus, modelFault } from './faults.js';
import type { HttpCall } from './http-call.js';
import type { GenerateChunk, GenerateRequest, ModelInfo, ModelRunner } from './runner.js';
import { callOf, probe, type ServerRunnerOptions } from './server-runner.js';

export interface OpenAiOptions extends ServerRunnerOptions {
  /** Local servers need none. */
  readonly api_key?: string;
}

/** The package insists on a key; servers without keys ignore it. */
const NO_KEY = 'none';
/** Above our own limits, which end every call first. */
const PACKAGE_TIMEOUT_MS = 2_147_483_647;

const clientOf = (options: OpenAiOptions, call: HttpCall): OpenAI =>
  new OpenAI({
    baseURL: options.base_url,
    apiKey: options.api_key ?? NO_KEY,
    // Said again here, because headers from the package's environment variable would win over its own.
    defaultHeaders: { authorization: `Bearer ${options.api_key ?? NO_KEY}` },
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: PACKAGE_TIMEOUT_MS,
    logLevel: 'off',
    fetch: call.fetch,
  });

/** OpenAI's own newer models refuse `max_tokens`; most other servers know nothing else. */
const NAMES_COMPLETION_TOKENS = /^https:\/\/(api\.openai\.com|[\w-]+\.openai\.azure\.com)\//;

const tokenLimitOf = (baseUrl: string, limit: number): { max_completion_tokens: number } | { max_tokens: number } =>
  NAMES_COMPLETION_TOKENS.test(`${baseUrl}/`) ? { max_completion_tokens: limit } : { max_tokens: limit };

const chatRequestOf = ({ model, base_url }: OpenAiOptions, request: GenerateRequest): OpenAI.ChatCompletionCreateParamsStreaming => ({
  model,
  messages: request.messages.map(({ role, content }) => ({ role, content }) as OpenAI.ChatCompletionMessageParam),
  stream: true,
  stream_options: { include_usage: true },
  ...(request.max_tokens === undefined ? {} : tokenLimitOf(base_url, request.max_tokens)),
  ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
  ...(request.seed === undefined ? {} : { seed: request.seed }),
  ...(request.stop === undefined ? {} : { stop: [...request.stop] }),
  ...(request.json === true ? { response_format: { type: 'json_object' } } : {}),
});

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

const finishOf = (reason: string): 'stop' | 'length' | 'other' => (reason === 'stop' || reason === 'length' ? reason : 'other');

async function* chat(options: OpenAiOptions, call: HttpCall, request: GenerateRequest): AsyncGenerator<GenerateChunk> {
  const { id } = options;
  let chars = 0;
  let finish: string | undefined;
  let usage: OpenAI.CompletionUsage | undefined;
  let responseModel: string | undefined;
  for await (const chunk of await clientOf(options, call).chat.completions.create(chatRequestOf(options, request))) {
    if (typeof chunk !== 'object' || chunk === null)
      throw modelFault(id, 'model_garbage', { detail: 'an event of the stream is no object' });
    responseModel ??= chunk.model;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices?.[0];
    if (choice === undefined) continue;
    if (choice.delta?.refusal || choice.finish_reason === 'content_filter') throw modelFault(id, 'model_refused');
    const text = choice.delta?.content ?? '';
    if (typeof text !== 'string') throw modelFault(id, 'model_garbage', { detail: 'content is no text' });
    if (text !== '') {
      chars += text.length;
      yield { kind: 'text', text };
    }
    finish = choice.finish_reason ?? finish;
  }
  // The package ends a stream silently when the call was aborted.
  if (call.signal.aborted) throw call.signal.reason;
  if (finish === undefined) throw modelFault(id, 'model_garbage', { detail: 'the stream ended without its end' });
  yield {
    kind: 'done',
    finish_reason: finishOf(finish),
    input_tokens: countedOr(usage?.prompt_tokens, () => promptTokensOf(request)),
    output_tokens: countedOr(usage?.completion_tokens, () => tokensOf(chars)),
    ...(responseModel === undefined ? {} : { response_model: responseModel }),
  };
}

export const openOpenAi = (options: OpenAiOptions): ModelRunner => {
  const { id, clock = systemClock } = options;

  async function* generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    signal.throwIfAborted();
    const call = callOf(options, signal, { traceparent: request.traceparent });
    try {
      yield* chat(options, call, request);
    } catch (error) {
      throw explained(id, call, error);
    } finally {
      call.close();
    }
  }

  const models = async (signal: AbortSignal): Promise<readonly ModelInfo[]> => {
    signal.throwIfAborted();
    const call = callOf(options, signal);
    try {
      return (await clientOf(options, call).models.list()).data.map((model) => ({ name: model.id }));
    } catch (error) {
      throw explained(id, call, error);
    } finally {
      call.close();
    }
  };

  return {
    provider: options.provider ?? 'openai',
    scripted: false,
    generate,
    models,
    embed: async (texts, signal) => {
      signal.throwIfAborted();
      const call = callOf(options, signal);
      try {
        const answer = await clientOf(options, call).embeddings.create({
          model: options.model,
          input: [...texts],
          encoding_format: 'float',
        });
        const vectors = [...answer.data].sort((a, b) => a.index - b.index).map((item) => item.embedding);
        if (vectors.length !== texts.length) throw modelFault(id, 'model_garbage', { detail: 'not one vector for each text' });
        return { vectors, input_tokens: countedOr(answer.usage?.prompt_tokens, () => tokensOf(texts.join('').length)) };
      } catch (error) {
        throw explained(id, call, error);
      } finally {
        call.close();
      }
    },
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
