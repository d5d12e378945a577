// A runner that does all that a request can ask for, without a model; and one gap at a time, to order.
import type { Clock } from '../clock.js';
import { modelFault } from '../faults.js';
import type { GenerateChunk, GenerateRequest, ModelFaultCode, ModelInfo, ModelRunner, Residency } from '../runner.js';

/** What it does otherwise than it should. */
export interface Gaps {
  /** Thrown instead of an answer to requests for which this gives a code. */
  readonly refuses?: (request: GenerateRequest) => ModelFaultCode | undefined;
  /** The answer in one piece. */
  readonly whole?: boolean;
  /** The length of a prompt as it is counted. */
  readonly counts?: (request: GenerateRequest) => number;
  /** Says that nothing was counted. */
  readonly estimated?: boolean;
  /** What it makes of a request before it answers. */
  readonly hears?: (request: GenerateRequest) => GenerateRequest;
  readonly saysLengthAs?: 'stop';
  /** Its answer to a request for JSON or a call. */
  readonly json?: string;
  readonly noCalls?: boolean;
  readonly listed?: readonly ModelInfo[] | ModelFaultCode;
  /** Milliseconds from an abort to the end. */
  readonly holds_ms?: number;
  readonly busy?: number;
  readonly one_at_a_time?: boolean;
  readonly embed?: ModelRunner['embed'];
  readonly residency?: Residency | 'none';
}

/** Words of no language, so that a test finds them where they should not be. */
const WORDS = ['zorbal', 'quimfit', 'blenzor', 'wuxipat', 'grundle', 'fropsik', 'mivtorn', 'keldarp'];
const CONTEXT = 4_096;
const STEP_MS = 20;

const wordsOf = (request: GenerateRequest): string[] => {
  if (request.json === true || request.json_schema !== undefined) return ['{"verdict"', ':"yes"}'];
  const seed = request.temperature === 0 ? 0 : (request.seed ?? 0);
  return Array.from({ length: 400 }, (_, i) => `${WORDS[(i * (seed + 3) + seed) % WORDS.length]}${i} `);
};

const countedIn = (request: GenerateRequest): number =>
  Math.ceil(request.messages.reduce((sum, { content }) => sum + content.length, 0) / 3) + request.messages.length * 4;

const residencyOf = (): Residency => {
  let there = false;
  return {
    loaded: async () => (there ? [{ name: 'ideal:latest' }] : []),
    load: async () => {
      there = true;
    },
    unload: async () => {
      there = false;
    },
  };
};

/** `clock.after` must fire soon: a step of an answer takes STEP_MS of it. */
export const idealRunner = (clock: Clock, gaps: Gaps = {}): ModelRunner => {
  let queue: Promise<void> = Promise.resolve();
  const fail = (code: ModelFaultCode): never => {
    throw modelFault('ideal', code);
  };
  const step = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));

  async function* answer(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    const code = gaps.refuses?.(request);
    if (code !== undefined) fail(code);
    const input_tokens = (gaps.counts ?? countedIn)(request);
    if (countedIn(request) > CONTEXT && gaps.counts === undefined) fail('model_context');
    const heard = gaps.hears?.(request) ?? request;
    const usage = { input_tokens, ...(gaps.estimated === true ? { estimated: true } : {}) };
    if (heard.tools !== undefined && gaps.noCalls !== true) {
      yield { kind: 'tool_call', index: 0, id: 'c', name: heard.tools[0]!.name, arguments: gaps.json ?? '{"verdict":"yes"}' };
      yield { kind: 'done', finish_reason: 'tool_calls', output_tokens: 5, ...usage };
      return;
    }
    const inForm = heard.json === true || heard.json_schema !== undefined;
    const all = inForm && gaps.json !== undefined ? [gaps.json] : wordsOf(heard);
    const said = all.slice(0, heard.max_tokens ?? all.length);
    let text = said.join('');
    const stop = heard.stop?.map((sequence) => text.indexOf(sequence)).find((at) => at >= 0);
    if (stop !== undefined) text = text.slice(0, stop);
    const pieces = gaps.whole === true || stop !== undefined ? [text] : said;
    for (const piece of pieces) {
      await step(STEP_MS);
      if (signal.aborted) await step(gaps.holds_ms ?? 0);
      signal.throwIfAborted();
      yield { kind: 'text', text: piece };
    }
    const cut = stop === undefined && said.length < all.length;
    yield { kind: 'done', finish_reason: cut ? (gaps.saysLengthAs ?? 'length') : 'stop', output_tokens: said.length, ...usage };
  }

  async function* inTurn(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    const before = queue;
    let end: () => void = () => {};
    queue = new Promise((resolve) => {
      end = resolve;
    });
    try {
      await before;
      yield* answer(request, signal);
    } finally {
      end();
    }
  }

  const { listed = [{ name: 'ideal', context_tokens: CONTEXT }] } = gaps;
  const residency = gaps.residency === 'none' ? undefined : (gaps.residency ?? residencyOf());
  return {
    provider: 'ideal',
    scripted: false,
    generate: gaps.one_at_a_time === true ? inTurn : answer,
    embed: gaps.embed ?? (async (texts) => ({ vectors: texts.map((text) => [text.length, 1]), input_tokens: 3 })),
    models: async () => (typeof listed === 'string' ? fail(listed) : listed),
    ...(residency === undefined ? {} : { residency }),
    busy: async () => gaps.busy ?? 0,
    health: async () => ({ ok: true, latency_ms: 0 }),
    close: async () => {},
  };
};
