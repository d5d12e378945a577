// POST /v1/chat/completions: a request of any OpenAI client, answered by whichever model the gateway chooses.
//
// C1. In a stream, status and headers are sent with the first piece: until then a failure is a proper error, which clients know how to try again. Where no
// piece came for a heartbeat, they are sent without, and comments keep the connection. C2. A failure after that is an error in the stream, and no [DONE].
// C3. Who goes away stops the model at once.
import { type GenerateRequest, promptTokensOf, tokensOf } from '../../models/index.js';
import { Fault, newId } from '../../schemas/index.js';
import { STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { eventStream, HEARTBEAT, SSE_HEADERS } from '../sse.js';
import { type Answer, type Call, json, route } from '../table.js';
import { ANSWER_HEADERS, ASKING_HEADERS, type Asker, answerable, askerOf, headersOf, openTrail, type Trail, withBudget } from './asking.js';
import { type Chunks, completionOf, completionSchema, dataFrame, openChunks } from './chat-answer.js';
import { CHAT_EXAMPLE, type ChatRequest, chatRequestSchema } from './chat-request.js';
import { errorOf, refuseWith } from './errors.js';
import { generateRequestOf } from './messages.js';
import { type Wish, wishOf } from './model-names.js';
import { openSpeech, type Speech } from './speech.js';
import { BODY_ERRORS, MODEL_ERRORS, surfaceWith } from './surface.js';

interface Asked {
  readonly call: Call<unknown, unknown, ChatRequest>;
  readonly services: Services;
  readonly request: GenerateRequest;
  readonly asker: Asker;
  readonly wish: Wish;
  readonly trail: Trail;
}

const askedOf = (call: Asked['call'], services: Services): Asked => {
  const { models } = services.deps.config;
  const asker = askerOf(call, call.body.user);
  const request = generateRequestOf(call.body);
  const texts = request.messages.filter(({ role }) => role === 'user').map(({ content }) => content);
  return { call, services, request, asker, wish: wishOf(call.body.model, texts, models), trail: openTrail() };
};

const promptOf = (request: GenerateRequest): number =>
  promptTokensOf(request) + (request.tools === undefined ? 0 : tokensOf(JSON.stringify(request.tools).length));

type Hearing = Parameters<Parameters<typeof openSpeech>[0]>[0];

const ask = ({ services: { deps }, request, asker, wish, trail }: Asked, hearing: Partial<Hearing>, signal: AbortSignal) =>
  withBudget(
    deps,
    { asker, wish, inputTokens: promptOf(request), outputTokens: request.max_tokens },
    trail,
    (allowance) =>
      deps.models.ask(
        {
          ...request,
          ...asker,
          ...wish,
          purpose: 'chat',
          ...hearing,
          ...(allowance === undefined ? {} : { allowance }),
          onDecision: trail.onDecision,
          onCall: trail.onCall,
        },
        signal,
      ),
    signal,
  );

const headingOf = ({ services }: Asked) => ({
  id: `chatcmpl-${newId().replaceAll('-', '')}`,
  created: Math.floor(services.deps.now() / 1000),
});

const onlyFirst = ({ call }: Asked): boolean => call.body.parallel_tool_calls === false;

const whole = async (asked: Asked): Promise<Answer> => {
  const { call, services, wish, trail } = asked;
  const signal = call.signal();
  try {
    const answer = await ask(asked, {}, signal);
    const decision = answer.decision ?? trail.decision;
    const configVersion = services.deps.settings.current().version;
    const made = json(STATUS.ok, completionOf(headingOf(asked), answer, onlyFirst(asked)));
    const { correlationId } = call;
    const chosen = { correlationId, wish, model: answer.model, decision, calls: trail.ended.length, configVersion };
    Object.assign(made.headers, headersOf(chosen));
    return made;
  } catch (error) {
    throw answerable(error, signal);
  }
};

/** The first piece, or the end; false when neither came for so long, in milliseconds. */
const begins = async (speech: Speech, ms: number): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([speech.ready().then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Frames of what was said since the last time. */
const saidIn = (speech: Speech, chunks: Chunks): Uint8Array[] => {
  const frames: Uint8Array[] = [];
  for (const piece of speech.take()) {
    const frame = chunks.piece(piece);
    if (frame !== undefined) frames.push(frame);
  }
  return frames;
};

/** Frames of the answer after what was sent at once. */
async function* framesOf(speech: Speech, chunks: Chunks, begun: boolean, told: (error: unknown) => Uint8Array) {
  let first = !begun;
  for (;;) {
    await speech.ready();
    const { outcome } = speech;
    const frames = first ? [chunks.begin()] : [];
    first = false;
    frames.push(...saidIn(speech, chunks));
    if (outcome === undefined) {
      yield frames;
      continue;
    }
    yield [...frames, ...(outcome.ok ? chunks.end(outcome.answer) : [told(outcome.error)])];
    return;
  }
}

const modelOf = ({ trail, wish }: Asked): string => trail.decision?.chosen ?? wish.model ?? '';

/** The error of a stream that was sent in part (C2). */
const tellerOf = ({ call, services }: Asked) => {
  return (error: unknown): Uint8Array => {
    const { status, body } = errorOf(error, call.correlationId);
    const { deps } = services;
    const code = error instanceof Fault ? error.code : undefined;
    if (body.error.code === 'internal_error') deps.logger.error({ err: error, correlation_id: call.correlationId }, 'a stream failed');
    else deps.logger.debug({ status, code, correlation_id: call.correlationId }, 'a stream ended with an error');
    return dataFrame(body);
  };
};

const streamed = async (asked: Asked): Promise<Answer> => {
  const { call, services, wish, trail } = asked;
  const gone = call.signal();
  const failure = () => trail.ended.findLast(({ outcome }) => outcome !== 'ok')?.error_type;
  const speech = openSpeech((hearing, signal) => ask(asked, hearing, signal), failure);
  const leave = (): void => {
    if (speech.outcome === undefined) speech.stop(refuseWith('client_gone', 'the connection ended before the answer was ready'));
  };
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();

  const inTime = await begins(speech, services.streams.heartbeatMs);
  if (speech.outcome?.ok === false) throw answerable(speech.outcome.error, gone);
  const model = modelOf(asked);
  const chunks = openChunks({
    ...headingOf(asked),
    model: () => modelOf(asked),
    includeUsage: call.body.stream_options?.include_usage === true,
    onlyFirst: onlyFirst(asked),
  });
  const told = tellerOf(asked);
  const tooSlow = (): Uint8Array => {
    const fault = refuseWith('client_too_slow', 'nothing of the stream was taken for too long; the model was stopped');
    return dataFrame(errorOf(fault, call.correlationId).body);
  };
  // Counted as it stands now: the call that speaks has not ended, where one does.
  const calls = trail.ended.length + (speech.outcome === undefined ? 1 : 0);
  const chosen = { correlationId: call.correlationId, wish, model, decision: trail.decision, calls };
  return {
    status: STATUS.ok,
    headers: { ...SSE_HEADERS, ...headersOf({ ...chosen, configVersion: services.deps.settings.current().version }) },
    body: eventStream(
      (signal) => {
        signal.addEventListener('abort', leave, { once: true });
        return framesOf(speech, chunks, inTime, told);
      },
      {
        ...services.streams,
        opening: inTime ? Buffer.concat([chunks.begin(), ...saidIn(speech, chunks)]) : HEARTBEAT,
        tooSlow,
        disconnect: () => call.disconnect(),
      },
    ),
  };
};

const chat = route({
  method: 'POST',
  path: '/v1/chat/completions',
  operationId: 'createChatCompletion',
  tag: 'openai',
  patient: true,
  traced: true,
  summary: 'OpenAI: an answer to a conversation, whole or as a stream',
  description:
    'For any OpenAI client, with `base_url` at `/v1` and any key: there is no login yet. With `stream` the answer is `text/event-stream`: `chat.completion.chunk`s and `data: [DONE]`; a failure after ' +
    'the first of them is `data: {"error": ...}` and the end. Parameters that nobody knows are refused by name; `null` is as good as leaving one out.',
  headers: ASKING_HEADERS,
  body: { schema: chatRequestSchema, example: CHAT_EXAMPLE },
  success: [
    {
      status: STATUS.ok,
      description: 'The answer; with `stream` its chunks, as server-sent events.',
      schema: completionSchema,
      headers: ANSWER_HEADERS,
    },
  ],
  surface: surfaceWith([...BODY_ERRORS, ...MODEL_ERRORS]),
  problems: [],
  handle: (call, services) => {
    const asked = askedOf(call, services);
    return call.body.stream === true ? streamed(asked) : whole(asked);
  },
});

export const chatRoutes = [chat];
