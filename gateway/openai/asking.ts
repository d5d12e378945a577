// What every route that asks a model does around it: who asks, what becomes of it in the headers, and what is set aside for it.
//
// A1. What is set aside is settled exactly once with what all calls used, whether they answered, failed or were given up. A ledger that cannot be told costs
// nobody an answer. A2. Who has gone away is answered `client_gone`, which is no failure of ours. A3. A model that would exceed what is set aside is not asked.
import { costOf, priceOf } from '../../models/index.js';
import { type Spent, withinReserved } from '../../processors/quota/index.js';
import { type Allowance, type CallSummary, type Decision, newId, projectIdSchema, type Servers, toFault } from '../../schemas/index.js';
import type { GatewayDeps } from '../deps.js';
import { formatTraceparent } from '../middleware/trace.js';
import type { Call } from '../table.js';
import { refuseWith } from './errors.js';
import { unfit } from './misfit.js';
import type { Wish } from './model-names.js';

export const DEFAULT_PROJECT = 'default';

/** In the OpenAPI document. */
export const ASKING_HEADERS = {
  'X-Dats-Project': `Project that it is counted under; OpenAI-Project is taken too. Default: ${DEFAULT_PROJECT}.`,
  'X-Dats-Confidential': '`true`: only models that keep what they are sent in the building.',
  traceparent: 'W3C trace context to join.',
};
export const ANSWER_HEADERS = {
  'X-Request-Id': 'The id of this request.',
  'X-Dats-Model': 'Id of the model; in a stream that of the first choice where nothing was said after 15 s.',
  'X-Dats-Tier': 'The tier that was asked.',
  'X-Dats-Reason': 'Why this model.',
  'X-Dats-Calls': 'Models that were called; in a stream until its first piece.',
  'X-Dats-Config-Version': 'The configuration that it was decided under.',
};

export interface Asker {
  readonly project_id: string;
  readonly user?: string;
  readonly local_only?: true;
  readonly traceparent?: string;
}

/** @throws Fault `validation_failed` that names the header */
export const askerOf = (call: Pick<Call, 'header' | 'trace'>, user: string | null | undefined): Asker => {
  const named = ['x-dats-project', 'openai-project'].find((name) => (call.header(name) ?? '') !== '');
  const project = named === undefined ? DEFAULT_PROJECT : call.header(named)!;
  const fits = projectIdSchema.safeParse(project);
  if (!fits.success) throw unfit([named ?? 'x-dats-project'], `is no project id: ${fits.error.issues[0]!.message}`);
  const confidential = call.header('x-dats-confidential') ?? 'false';
  if (confidential !== 'true' && confidential !== 'false') throw unfit(['x-dats-confidential'], 'must be true or false');
  const traceparent = call.trace === undefined ? call.header('traceparent') : formatTraceparent(call.trace);
  return {
    project_id: project,
    ...(user === null || user === undefined || user === '' ? {} : { user }),
    ...(confidential === 'true' ? { local_only: true } : {}),
    ...(traceparent === null ? {} : { traceparent }),
  };
};

/** What became of an ask so far. */
export interface Trail {
  readonly onDecision: (decision: Decision) => void;
  readonly onCall: (call: CallSummary) => void;
  /** The last choice; undefined before the first. */
  readonly decision: Decision | undefined;
  readonly ended: readonly CallSummary[];
  readonly used: Spent;
}

export const openTrail = (): Trail => {
  let decision: Decision | undefined;
  const ended: CallSummary[] = [];
  return {
    onDecision: (made) => {
      decision = made;
    },
    onCall: (call) => void ended.push(call),
    get decision() {
      return decision;
    },
    ended,
    get used() {
      return {
        tokens: ended.reduce((sum, call) => sum + call.input_tokens + call.output_tokens, 0),
        costUsd: ended.reduce((sum, call) => sum + (call.cost_usd ?? 0), 0),
        calls: ended.length,
      };
    },
  };
};

export interface Chosen {
  readonly correlationId: string;
  readonly wish: Wish;
  readonly model: string;
  readonly decision: Decision | undefined;
  readonly calls: number;
  readonly configVersion: string;
}

export const headersOf = ({ correlationId, wish, model, decision, calls, configVersion }: Chosen): Record<string, string> => ({
  'x-request-id': correlationId,
  'x-dats-model': model,
  'x-dats-tier': wish.tier,
  'x-dats-reason': decision?.reason ?? 'named',
  'x-dats-calls': String(Math.max(1, calls)),
  'x-dats-config-version': decision?.config_version ?? configVersion,
});

/** How long an ask lasts at most: as long as its model waits for a slot, and then answers. */
const SPANS = 2;

/** What is set aside, where the budget has it: for the model that answers, and for one that failed before. */
const CALLS_EXPECTED = 2;

/** What one call may use at most, as a reservation. */
const mostUsed = (
  models: Servers['models'],
  prices: Servers['prices'],
  { tier, model }: Wish,
  input: number,
  output: number | undefined,
) => {
  const named = models.filter(({ id }) => id === model);
  const ofTier = models.filter(({ tiers }) => tiers.includes(tier));
  const able = named.length > 0 ? named : ofTier.length > 0 ? ofTier : models;
  let [tokens, costUsd, expiresMs] = [input, 0, 0];
  for (const one of able) {
    const most = Math.min(output ?? one.max_output_tokens, one.max_output_tokens);
    const price = priceOf(one, one.provider ?? one.runner, prices);
    tokens = Math.max(tokens, input + most);
    if (price !== undefined) costUsd = Math.max(costUsd, costOf(price, input, most));
    expiresMs = Math.max(expiresMs, one.timeout_ms * SPANS);
  }
  return { tokens, costUsd, expiresMs };
};

export interface Need {
  readonly asker: Asker;
  readonly wish: Wish;
  readonly inputTokens: number;
  /** Undefined: as many as a model gives. */
  readonly outputTokens: number | undefined;
}

/** What `work` gives, with its budget around it: all its calls together may use no more (A3). @throws Fault `insufficient_quota`, what `work` throws */
export const withBudget = async <T>(
  { config, settings, spending, logger }: Pick<GatewayDeps, 'config' | 'settings' | 'spending' | 'logger'>,
  { asker, wish, inputTokens, outputTokens }: Need,
  trail: Trail,
  work: (allowance: Allowance | undefined) => Promise<T>,
  signal: AbortSignal,
): Promise<T> => {
  if (spending === undefined) return work(undefined);
  const { project_id: project, user } = asker;
  const { expiresMs, ...least } = mostUsed(config.models, settings.current().prices, wish, inputTokens, outputTokens);
  const reserved = await spending.reserve(
    {
      reservationId: newId(),
      project,
      ...(user === undefined ? {} : { user }),
      agent: 'chat',
      tokens: least.tokens * CALLS_EXPECTED,
      costUsd: least.costUsd * CALLS_EXPECTED,
      least,
      expiresMs,
    },
    signal,
  );
  if (!reserved.ok) throw refuseWith('insufficient_quota', reserved.message, reserved.retryAfterMs);
  try {
    return await work(withinReserved(undefined, reserved.reserved));
  } finally {
    await reserved.settle(trail.used).catch((error: unknown) => {
      logger.warn(
        { err: error, project_id: project },
        'what a chat request used could not be settled; it stays set aside until it expires',
      );
    });
  }
};

/** An error as it is answered (A2). */
export const answerable = (error: unknown, signal: AbortSignal): unknown =>
  signal.aborted ? refuseWith('client_gone', 'the connection ended before the answer was ready') : toFault(error);
