// The gateway to all models of servers.yaml: chooses, queues, calls, falls back, accounts. What it decides by is in choose.ts and breaker.ts.
//
// G1. For one ask each model is called at most once, and MOST_CALLS_PER_ASK in all; retrying later is scheduling's.
// G2. `model_rejected` is never passed on to another model: the request itself is wrong.
// G3. When nothing is left the last call's fault is thrown; where none was made, `no_model` says of each model why.
// G4. An abort ends an ask wherever it stands (probe, queue, stream) with the signal's reason, and is not held against the model.
import {
  type AccessConfig,
  type CallSummary,
  type Decision,
  Fault,
  isFault,
  type ModelCall,
  type ModelConfig,
  type Prices,
  type RoutingConfig,
  type Servers,
} from '../schemas/index.js';
import { costOf, priceOf } from './accounting.js';
import { type Availability, type Candidate, choose } from './choose.js';
import { type Clock, systemClock } from './clock.js';
import type { Answer, Ask, Asking, EmbedAsk, Embeddings, ModelGateway } from './gateway.js';
import { callModel } from './model-call.js';
import { type ModelLine, openModelLine } from './model-line.js';
import { missingKeyOf, openRunner } from './open-runner.js';

/** Models that are called for one ask before it fails. */
export const MOST_CALLS_PER_ASK = 4;
/** How long a model that is overloaded without saying until when is left alone. */
export const DEFAULT_HOLD_MS = 1_000;

const NO_PRICES: Prices = { version: 'none', models: [] };

export interface GatewayLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What is chosen and priced by, where it can change while this runs. */
export interface ModelPolicy {
  /** Recorded with every decision made under it. */
  readonly version: string;
  readonly routing: RoutingConfig;
  readonly access: AccessConfig;
  readonly prices: Prices;
  readonly flags: Servers['flags'];
}

export interface ModelGatewayOptions {
  readonly models: readonly ModelConfig[];
  /** What tokens cost where a model's own entry does not say; none: unknown. */
  readonly prices?: Prices;
  /** What holds now: asked for each ask. */
  readonly policy?: () => ModelPolicy;
  /** Folder of servers.yaml: script paths are relative to it. */
  readonly baseDir: string;
  /** Where `api_key_env` is looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Id of this node, for telemetry. */
  readonly node: string;
  /** One record per call that was made, with its cost in USD where the model has a price. What it throws is logged, nothing more. */
  readonly onCall: (call: ModelCall, cost: number | undefined) => void;
  readonly clock?: Clock;
  readonly fetch?: typeof fetch;
  readonly logger?: GatewayLogger;
}

/** The promise, or the signal's reason, whichever is first. */
const orAborted = async <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> => {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort!);
  }
};

/** Answers that show a living model which will not answer this ask. */
const DECLINED: ReadonlySet<string> = new Set(['model_overloaded', 'model_refused']);
/** Signs that a server or a model is gone: worth a look at once. */
const GONE: ReadonlySet<string> = new Set(['model_unreachable', 'model_missing']);
/** What says nothing against the model's availability. */
const ALIVE: ReadonlySet<string> = new Set(['model_overloaded', 'model_refused', 'model_rejected']);

/** Candidates that waiting brings nothing from. */
const OUT_OF_QUESTION: ReadonlySet<string> = new Set(['other_domain', 'other_model', 'fallback_not_needed']);

const noModel = (ask: Asking, decision: Decision, lines: ReadonlyMap<string, ModelLine>): Fault => {
  if (decision.reason === 'unknown_model')
    return new Fault(
      'terminal',
      'model_missing',
      `no model "${ask.model}" in servers.yaml; it has: ${[...lines.keys()].join(', ') || 'none'}. Correct the id, or add the model`,
    );
  const able = decision.candidates.filter(({ verdict }) => !OUT_OF_QUESTION.has(verdict));
  const states = able.map(({ id, verdict }) => {
    const health = lines.get(id)?.health;
    return `${id} is ${verdict}${health?.ok === false && health.detail !== undefined ? ` (${health.detail})` : ''}`;
  });
  const what = ask.model === undefined ? `for tier ${ask.tier} and domain ${ask.domain}` : `"${ask.model}"`;
  const why = states.length === 0 ? 'none in servers.yaml serves this domain; add one' : states.join('; ');
  const waits = able.map(({ id }) => Math.ceil(lines.get(id)!.readyInMs())).filter((ms) => ms > 0);
  return new Fault(
    'retryable',
    'no_model',
    `no model can answer ${what} now: ${why}`,
    waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) },
  );
};

const summaryOf = (call: ModelCall): CallSummary => {
  const { model, provider, outcome, input_tokens, output_tokens, duration_ms } = call;
  const summary: CallSummary = { model, provider, outcome, input_tokens, output_tokens, duration_ms };
  if (call.error_type !== undefined) summary.error_type = call.error_type;
  if (call.hedge !== undefined) summary.hedge = call.hedge;
  if (call.cost_usd !== undefined) summary.cost_usd = call.cost_usd;
  return summary;
};

class OpenedGateway implements ModelGateway {
  readonly #lines: ReadonlyMap<string, ModelLine>;
  readonly #options: ModelGatewayOptions;
  readonly #clock: Clock;
  #closed = false;

  constructor(lines: ReadonlyMap<string, ModelLine>, options: ModelGatewayOptions, clock: Clock) {
    this.#lines = lines;
    this.#options = options;
    this.#clock = clock;
  }

  async ask(ask: Ask, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    if (this.#closed)
      throw new Fault('retryable', 'no_model', 'the model gateway is closed: the process is stopping; ask again after its restart');
    const tried = new Map<string, Availability>();
    let calls = 0;
    let last: Fault | undefined;
    let said = false;
    const onText =
      ask.onText &&
      ((text: string): void => {
        said = true;
        ask.onText?.(text);
      });
    while (calls < MOST_CALLS_PER_ASK) {
      const decision = this.#choose(ask, tried);
      if (decision.chosen === undefined) throw last ?? noModel(ask, decision, this.#lines);
      ask.onDecision?.(decision);
      const line = this.#lines.get(decision.chosen)!;
      if (line.health === undefined) {
        await orAborted(line.probe(), signal);
        continue;
      }
      if (!line.slots.tryTake() && !(await line.slots.take(signal))) {
        tried.set(decision.chosen, 'waiting');
        continue;
      }
      try {
        const pass = line.availability() === 'down' ? undefined : line.breaker.begin();
        // It went down, or began to cool, while this ask stood in its queue.
        if (pass === undefined) {
          tried.set(decision.chosen, line.availability());
          continue;
        }
        calls += 1;
        if (said) {
          said = false;
          ask.onRestart?.();
        }
        return await this.#call(line, pass, ask, onText, decision, signal);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (!isFault(error) || error.code === 'model_rejected') throw error;
        last = error;
        tried.set(decision.chosen, DECLINED.has(error.code) ? 'declined' : 'failed');
      } finally {
        line.slots.give();
      }
    }
    throw last!;
  }

  async embed(ask: EmbedAsk, signal: AbortSignal): Promise<Embeddings> {
    signal.throwIfAborted();
    const { chosen, ...decision } = this.#choose(ask, new Map());
    if (chosen === undefined) throw noModel(ask, decision, this.#lines);
    const { runner, price } = this.#lines.get(chosen)!;
    const { vectors, input_tokens } = await runner.embed(ask.texts, signal);
    const { provider, scripted } = runner;
    const cost = price && { cost_usd: costOf(price, input_tokens, 0) };
    return { vectors, model: chosen, provider, scripted, input_tokens, ...cost, decision: { chosen, ...decision } };
  }

  async status({ fresh = false }: { readonly fresh?: boolean } = {}) {
    return Promise.all([...this.#lines.values()].map((line) => line.status(fresh)));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#lines.values()].map((line) => line.close()));
  }

  #choose(ask: Asking, tried: ReadonlyMap<string, Availability>): Decision {
    const candidates: Candidate[] = [];
    for (const [id, line] of this.#lines) {
      const { tiers, domains, preference, fallback, concurrency } = line.config;
      const load = (line.slots.running + line.slots.queued) / concurrency;
      candidates.push({ id, tiers, domains, preference, fallback, availability: tried.get(id) ?? line.availability(), load });
    }
    return choose(candidates, ask);
  }

  async #call(
    line: ModelLine,
    pass: number,
    ask: Ask,
    onText: ((text: string) => void) | undefined,
    decision: Decision,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { config, runner, price, breaker } = line;
    try {
      const answer = await callModel(
        { config, runner, price, clock: this.#clock, node: this.#options.node, onText, onCall: (call) => this.#record(call, ask) },
        ask,
        decision,
        signal,
      );
      breaker.settle(pass, 'ok');
      return answer;
    } catch (error) {
      const code = isFault(error) ? error.code : undefined;
      breaker.settle(pass, signal.aborted || code === undefined ? 'left' : ALIVE.has(code) ? 'ok' : 'failed');
      if (signal.aborted) throw error;
      if (code === 'model_overloaded') breaker.hold((isFault(error) ? error.retryAfterMs : undefined) ?? DEFAULT_HOLD_MS);
      if (code !== undefined && GONE.has(code) && !runner.scripted) void line.probe();
      throw error;
    }
  }

  #record(call: ModelCall, ask: Ask): void {
    ask.onCall?.(summaryOf(call));
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

/**
 * Opens every model of servers.yaml; nothing is asked or probed yet.
 * @throws Fault `bad_script`, or `bad_configuration` where two models have one id.
 */
export const openModelGateway = async (options: ModelGatewayOptions): Promise<ModelGateway> => {
  const { logger, env, prices = NO_PRICES, clock = systemClock } = options;
  const lines = new Map<string, ModelLine>();
  for (const config of options.models) {
    if (lines.has(config.id))
      throw new Fault('fatal', 'bad_configuration', `model id "${config.id}" is used twice in servers.yaml; model ids must be unique`);
    const runner = await openRunner(config, { ...options, clock });
    const missingKey = missingKeyOf(config, env);
    if (missingKey !== undefined)
      logger?.warn(
        { model: config.id, variable: missingKey },
        'the environment variable with the API key is not set: this model is not asked',
      );
    const onHealth = ({ ok, detail }: { ok: boolean; detail?: string }): void =>
      ok ? logger?.info({ model: config.id }, 'model is up') : logger?.warn({ model: config.id, detail }, 'model is down');
    const price = priceOf(config, runner.provider, prices);
    lines.set(config.id, openModelLine(config, runner, { clock, price, onHealth, ...(missingKey === undefined ? {} : { missingKey }) }));
  }
  return new OpenedGateway(lines, options, clock);
};
