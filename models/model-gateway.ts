// The gateway to all models of servers.yaml: chooses, queues, calls, falls back, accounts. It holds what outlives an ask; the loop of one is ask-loop.ts,
// what it decides by is in choose.ts, rules.ts and breaker.ts.
import { type Decision, Fault, type ModelCall, type ModelConfig, type Prices } from '../schemas/index.js';
import { promptTokensOf } from './accounting.js';
import { type LoopDeps, runAsk, type Turn, type Wanted } from './ask-loop.js';
import { summaryOf } from './call-record.js';
import { type Asked, candidatesOf, featuresOf, type Sources } from './candidates.js';
import { choose, type Terms } from './choose.js';
import { type Clock, systemClock, wait } from './clock.js';
import { callEmbedding, textTokens } from './embed-call.js';
import { modelFault } from './faults.js';
import type { Answer, Ask, Asking, EmbedAsk, Embeddings, ModelGateway, ModelLender, ModelStatus } from './gateway.js';
import { callModel, wantedTokens } from './model-call.js';
import { type ModelLine, openModelLine } from './model-line.js';
import { noModel } from './no-model.js';
import { missingKeyOf, openRunner } from './open-runner.js';
import { carriedOver, defaultPolicy, type ModelPolicy, NO_PRICES, openPolicy, type ReadyPolicy } from './policy.js';
import type { Exchange } from './remote/index.js';
import { openResidencies, type Residencies } from './residency.js';
import { heldRules, isKeptAway, nextState, type RuleState } from './rules.js';
import type { GenerateChunk, GenerateRequest, ModelRunner } from './runner.js';
import type { Transport } from './transport.js';

export interface GatewayLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What a graphics processor of this machine was doing when it was looked at last. */
export interface GpuReading {
  /** 0 idle .. 1 busy. */
  readonly utilisation_ratio?: number | undefined;
  readonly memory_used_bytes?: number | undefined;
  readonly memory_total_bytes?: number | undefined;
}

export interface ModelGatewayOptions {
  readonly models: readonly ModelConfig[];
  /** What tokens cost where a model's own entry does not say; none: unknown. `policy` goes before it. */
  readonly prices?: Prices;
  /** By what models are chosen, read at every ask; default: no rule, every model allowed, the weights' defaults. */
  readonly policy?: () => ModelPolicy;
  /** Folder of servers.yaml: script paths are relative to it. */
  readonly baseDir: string;
  /** Where `api_key_env` is looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Id of this node, for telemetry. */
  readonly node: string;
  /** One record per call that was made, with its cost in USD where the model has a price. What it throws is logged, nothing more. */
  readonly onCall: (call: ModelCall, cost: number | undefined) => void;
  /** A graphics processor by its number, as it was some seconds ago; asked only for models that name one. Must be cheap. */
  readonly gpu?: (index: number) => GpuReading | undefined;
  readonly clock?: Clock;
  /** In [0, 1): how much longer than needed waits are, so that processes do not come back in one moment. */
  readonly random?: () => number;
  readonly transport?: Transport;
  readonly logger?: GatewayLogger;
  /** The way to models that other nodes have; absent: this is the only node. */
  readonly exchange?: Exchange;
  /** From a model's configuration to who answers; default: the runners of this room. */
  readonly openRunner?: typeof openRunner;
}

const closedFault = (): Fault =>
  new Fault('retryable', 'no_model', 'the model gateway is closed: the process is stopping; ask again after its restart');

/** An answer to `ask`, with what came of a call that failed in the middle taken back. */
const answerTo = (
  ask: Ask,
  call: (turn: Turn, deps: Pick<Parameters<typeof callModel>[0], 'onText' | 'onToolCall'>) => Promise<Answer>,
): Wanted<Answer> => {
  let said = false;
  const telling = <T>(tell: ((piece: T) => void) | undefined) =>
    tell &&
    ((piece: T): void => {
      said = true;
      tell(piece);
    });
  const told = { onText: telling(ask.onText), onToolCall: telling(ask.onToolCall) };
  return {
    asking: ask,
    prompt_tokens: promptTokensOf(ask),
    whole_prompt: true,
    answerTokens: ({ config }) => wantedTokens(ask, config),
    call: (turn) => {
      if (said) {
        said = false;
        ask.onRestart?.();
      }
      return call(turn, told);
    },
  };
};

interface Opened {
  readonly lines: ReadonlyMap<string, ModelLine>;
  readonly options: ModelGatewayOptions;
  readonly clock: Clock;
  readonly policy: () => ReadyPolicy;
  readonly residencies: Residencies;
}

class OpenedGateway implements ModelGateway, ModelLender {
  readonly #lines: ReadonlyMap<string, ModelLine>;
  readonly #options: ModelGatewayOptions;
  readonly #clock: Clock;
  readonly #policy: () => ReadyPolicy;
  readonly #residencies: Residencies;
  readonly #sources: Sources;
  readonly #loop: LoopDeps;
  readonly #pauses = new Set<AbortController>();
  #closed = false;
  #rulesOf: ReadyPolicy | undefined;
  #ruleState: RuleState = new Map();

  constructor({ lines, options, clock, policy, residencies }: Opened) {
    this.#lines = lines;
    this.#options = options;
    this.#clock = clock;
    this.#policy = policy;
    this.#residencies = residencies;
    const gpuRatio = (index: number): number | undefined => options.gpu?.(index)?.utilisation_ratio;
    this.#sources = { lines, residencies, now: () => clock.now(), gpuRatio };
    this.#loop = {
      lines,
      clock,
      random: options.random ?? Math.random,
      choose: (asked) => this.#choose(asked),
      priceOf: (id) => policy().priceOf(id),
      placeOf: (id) => residencies.of(id),
      hedges: () => policy().hedging,
      pause: (ms, signal) => this.#pause(ms, signal),
      record: (call, line, asking) => this.#record(call, line, asking),
      noModel: (asking, decision) => noModel(asking, decision, { lines, policy: policy() }),
    };
  }

  async ask(ask: Ask, signal: AbortSignal): Promise<Answer> {
    this.#throwIfOver(signal);
    const { node } = this.#options;
    return runAsk(
      this.#loop,
      answerTo(ask, ({ line: { config, runner }, price, answer_tokens, decision, hedge, loaded, signal: own, onFirst, onCall }, told) =>
        callModel(
          { config, runner, price, clock: this.#clock, node, hedge, loaded, max_tokens: answer_tokens, onFirst, onCall, ...told },
          ask,
          decision,
          own,
        ),
      ),
      signal,
    );
  }

  async embed(ask: EmbedAsk, signal: AbortSignal): Promise<Embeddings> {
    this.#throwIfOver(signal);
    const { node } = this.#options;
    const wanted: Wanted<Embeddings> = {
      asking: ask,
      prompt_tokens: textTokens(ask),
      whole_prompt: false,
      answerTokens: () => 0,
      call: ({ line: { config, runner }, price, decision, loaded, signal: own, onCall }) =>
        callEmbedding({ config, runner, price, clock: this.#clock, node, loaded, onCall }, ask, decision, own),
    };
    return runAsk(this.#loop, wanted, signal);
  }

  async *lend(model: string, request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    const line = await this.#taken(model, signal);
    try {
      yield* line.runner.generate(request, signal);
    } finally {
      line.slots.give();
    }
  }

  async lendEmbedding(model: string, texts: readonly string[], signal: AbortSignal): ReturnType<ModelRunner['embed']> {
    const line = await this.#taken(model, signal);
    try {
      return await line.runner.embed(texts, signal);
    } finally {
      line.slots.give();
    }
  }

  /** A model that is reached from here, with one of its slots. */
  async #taken(model: string, signal: AbortSignal): Promise<ModelLine> {
    this.#throwIfOver(signal);
    const line = this.#lines.get(model);
    if (line === undefined) throw modelFault(model, 'model_missing', { detail: 'it is not configured on this node' });
    line.called();
    if (!(await line.slots.take(signal))) throw modelFault(model, 'model_overloaded', { detail: 'its queue is full' });
    return line;
  }

  async status({ fresh = false }: { readonly fresh?: boolean } = {}): Promise<readonly ModelStatus[]> {
    const policy = this.#policy();
    return Promise.all(
      [...this.#lines.values()].map(async (line) => ({ ...(await line.status(fresh)), features: featuresOf(line, policy, this.#sources) })),
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const pause of this.#pauses) pause.abort(closedFault());
    this.#residencies.close();
    await Promise.all([...this.#lines.values()].map((line) => line.close()));
  }

  #throwIfOver(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closed) throw closedFault();
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const pause = new AbortController();
    const onAbort = (): void => pause.abort(signal.reason);
    this.#pauses.add(pause);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await wait(ms, pause.signal, this.#clock);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#pauses.delete(pause);
    }
  }

  #choose(asked: Asked): Decision {
    const policy = this.#policy();
    const candidates = candidatesOf(asked, policy, this.#sources);
    if (this.#rulesOf !== policy) {
      this.#ruleState = carriedOver(this.#ruleState, policy.rules);
      this.#rulesOf = policy;
    }
    if (policy.watches) this.#ruleState = nextState(policy.rules, this.#ruleState, candidates);
    const { weights, rules, version } = policy;
    const terms: { -readonly [K in keyof Terms]: Terms[K] } = { weights, rules: heldRules(rules, this.#ruleState, asked.asking) };
    if (version !== undefined) terms.config_version = version;
    return choose(candidates, asked.asking, terms);
  }

  #record(call: ModelCall, line: ModelLine, asking: Asking): void {
    const { rules } = this.#policy();
    line.observe(call, rules.length > 0 && isKeptAway(rules, this.#ruleState, call.model));
    asking.onCall?.(summaryOf(call));
    try {
      this.#options.onCall(call, call.cost_usd);
    } catch (error) {
      this.#options.logger?.warn(
        { err: error, model: call.model },
        'a telemetry record of a model call was lost; the answer was not affected',
      );
    }
  }
}

const openLine = async (config: ModelConfig, options: ModelGatewayOptions, clock: Clock): Promise<ModelLine> => {
  const { logger, env, random } = options;
  const runner = await (options.openRunner ?? openRunner)(config, { ...options, clock });
  const missingKey = missingKeyOf(config, env);
  if (missingKey !== undefined)
    logger?.warn(
      { model: config.id, variable: missingKey },
      'the environment variable with the API key is not set: this model is not asked',
    );
  const onHealth = ({ ok, detail }: { ok: boolean; detail?: string }): void =>
    ok ? logger?.info({ model: config.id }, 'model is up') : logger?.warn({ model: config.id, detail }, 'model is down');
  return openModelLine(config, runner, {
    clock,
    onHealth,
    ...(random === undefined ? {} : { random }),
    ...(missingKey === undefined ? {} : { missingKey }),
  });
};

/**
 * Opens every model of servers.yaml. Nothing is asked or probed yet, except that models with `warm_up` are loaded in the background.
 * @throws Fault `bad_script`, or `bad_configuration` where two models have one id.
 */
export const openModelGateway = async (options: ModelGatewayOptions): Promise<ModelGateway & ModelLender> => {
  const { logger, prices = NO_PRICES, clock = systemClock } = options;
  const lines = new Map<string, ModelLine>();
  for (const config of options.models) {
    if (lines.has(config.id))
      throw new Fault('fatal', 'bad_configuration', `model id "${config.id}" is used twice in servers.yaml; model ids must be unique`);
    lines.set(config.id, await openLine(config, options, clock));
  }
  const all = [...lines.values()];
  const subjects = all.map(({ config, runner }) => ({ config, provider: runner.provider }));
  const residents = all.map(({ config, runner, slots }) => ({ config, runner, busy: () => slots.running + slots.queued }));
  const residencies = openResidencies(residents, {
    clock,
    memory: (gpu) => options.gpu?.(gpu),
    onMoved: (model, what, ms) => logger?.info({ model, ms: Math.round(ms) }, `model was ${what}`),
    onProblem: (model, err, what) => logger?.warn({ model, err }, `model ${what}`),
  });
  residencies.warmUp();
  const policy = openPolicy(options.policy, defaultPolicy(prices), subjects, options.node);
  return new OpenedGateway({ lines, options, clock, policy, residencies });
};
