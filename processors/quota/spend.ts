// Setting aside and settling for whoever asks a model without an attempt of a task: the OpenAI-compatible endpoint, and analyses before the first attempt.
//
// P1. Where no quota applies nothing happens: no event, no wait. P2. What is set aside is settled once; where its process dies before, the ledger settles it in full when it
// has expired. P3. Who stops waiting for the answer gives back what it may bring. P4. One reader a process follows the ledger, from the first request on.
// P5. What is said to be set aside is what a limit needs: a rate alone bounds no tokens. Whoever asks a model says it as the allowance of the ask.
import {
  type Allowance,
  type DatsEvent,
  derivedId,
  type EventOf,
  Fault,
  isFault,
  LEDGER_KEY,
  partitionOf,
  QUOTA,
  type QuotaBlocked,
  type QuotasConfig,
  type Tier,
  timeoutSignal,
} from '../../schemas/index.js';
import { askedOnce, eventOf, type Log, type Outgoing, outgoing, pause } from '../../streams/index.js';
import { backoffMs, untilDone } from '../../streams/runtime/index.js';
import { type Draft, inChain, sayOn } from '../draft.js';
import { stamp } from '../host/index.js';
import { isoOf } from '../iso-time.js';
import { hadFrom, limitedBy, refusalText } from './limits.js';

export interface SpendingRequest {
  /** New for every request, and the same when it is repeated. */
  readonly reservationId: string;
  readonly project: string;
  readonly user?: string;
  readonly agent: string;
  /** At the most, input and output together. */
  readonly tokens: number;
  /** 0 where nobody says what the model costs. */
  readonly costUsd: number;
  /** Less is of use too, where no more is left: but not less than this. Absent: all or nothing. */
  readonly least?: { readonly tokens: number; readonly costUsd: number };
  /** From now, in milliseconds: what is not settled until then counts as used. */
  readonly expiresMs: number;
  readonly correlationId?: string;
}

/** By all calls together, those that failed included. */
export interface Spent {
  readonly tokens: number;
  readonly costUsd: number;
  readonly calls?: number;
}

/** What was set aside (P5); of what is absent there is no limit. */
export interface Reserved {
  readonly tokens?: number;
  readonly costUsd?: number;
}

export type SpendingAnswer =
  | {
      readonly ok: true;
      /** Absent: no quota applies. */
      readonly reserved?: Reserved;
      /** Resolves when it is on disk. More than once changes nothing. @throws Fault when the log does not take it; the ledger settles in full then. */
      settle(used: Spent): Promise<void>;
    }
  /** `retryAfterMs`: then it can be had, or is worth asking again. */
  | { readonly ok: false; readonly blocked: QuotaBlocked; readonly message: string; readonly retryAfterMs?: number };

export interface Spending {
  /** @throws Fault retryable `quota_unanswered`, of the log; the signal's reason when aborted. */
  reserve(request: SpendingRequest, signal: AbortSignal): Promise<SpendingAnswer>;
  /** USD a token, at the most; 0 where nobody says. */
  readonly price: (tier: Tier, model: string | undefined) => number;
  /** Stops following the ledger. Idempotent. */
  close(): Promise<void>;
}

export interface SpendingOptions {
  readonly log: Log;
  /** What holds now. */
  readonly quotas: () => QuotasConfig;
  readonly price: Spending['price'];
  /** Of what it says: `/nodes/<id>`. */
  readonly source: string;
  readonly actor: string;
  readonly configVersion: () => string;
  readonly now: () => number;
  readonly onProblem: (fault: unknown) => void;
  /** How long an answer is waited for, in milliseconds; default ANSWER_MS. */
  readonly answerMs?: number;
}

/** The ledger answers in milliseconds, unless its process is just being replaced. */
export const ANSWER_MS = 10_000;
/** How long a settlement is tried to be written where the log is away, in milliseconds. */
const SETTLE_MS = 30_000;
/** Waits between two reads of a log that is away, in milliseconds. */
const AWAY = { baseMs: 50, maxMs: 2_000 };

type Reply = EventOf<'dats.quota.reserved' | 'dats.quota.blocked'>;
const REPLIES: ReadonlySet<string> = new Set(['dats.quota.reserved', 'dats.quota.blocked']);

/** Requests whose answers are awaited, and the one reader that brings them (P4). */
const openReplies = (log: Log, onProblem: (fault: unknown) => void) => {
  const partition = partitionOf(LEDGER_KEY, log.partitions(QUOTA));
  const waiting = new Map<string, (reply: Reply) => void>();
  const closed = new AbortController();
  let following: Promise<void> | undefined;

  const follow = async (from: number): Promise<void> => {
    let offset = from;
    for (let attempt = 1; !closed.signal.aborted; attempt++) {
      try {
        for await (const batch of log.read({ topic: QUOTA, partition, offset }, closed.signal)) {
          attempt = 1;
          for (const record of batch) {
            const tell = REPLIES.has(record.type) ? waiting.get(record.headers.subject ?? '') : undefined;
            if (tell !== undefined) tell(eventOf(record) as Reply);
          }
          offset = batch.at(-1)!.offset + 1;
        }
      } catch (error) {
        if (!isFault(error, 'retryable')) throw error;
        onProblem(error);
        await pause(backoffMs(attempt, AWAY, Math.random), closed.signal);
      }
    }
  };

  const begin = async (): Promise<void> => {
    const { end } = await log.range(QUOTA, partition);
    following = follow(end).catch(onProblem);
  };

  return {
    /** Resolves when nothing can be missed any more that is asked for after it. @throws Fault of the log */
    begin: askedOnce(begin),
    of: (id: string, signal: AbortSignal): Promise<Reply | undefined> =>
      new Promise((resolve) => {
        const end = (reply: Reply | undefined): void => {
          waiting.delete(id);
          signal.removeEventListener('abort', aborted);
          resolve(reply);
        };
        const aborted = (): void => end(undefined);
        waiting.set(id, end);
        signal.addEventListener('abort', aborted, { once: true });
        if (signal.aborted) aborted();
      }),
    close: async (): Promise<void> => {
      closed.abort();
      await following;
    },
  };
};

/** The lesser of two limits; undefined: neither is one. */
const lesser = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a;

/** What an ask may use that was allowed `allowance`, and for which so much was set aside. Undefined: no limit. */
export const withinReserved = (allowance: Allowance | undefined, { tokens, costUsd }: Reserved = {}): Allowance | undefined => {
  const within: Allowance = { ...allowance };
  const most = lesser(within.tokens, tokens);
  const dearest = lesser(within.cost_usd, costUsd);
  if (most !== undefined) within.tokens = most;
  if (dearest !== undefined) within.cost_usd = dearest;
  return Object.keys(within).length === 0 ? undefined : within;
};

/** Does not fit, or not now. */
const refusal = (blocked: QuotaBlocked, now: number): SpendingAnswer => {
  const message = refusalText(blocked);
  const from = hadFrom(blocked, now);
  return from === undefined ? { ok: false, blocked, message } : { ok: false, blocked, message, retryAfterMs: Math.max(0, from - now) };
};

export const openSpending = (options: SpendingOptions): Spending => {
  const { log, now, onProblem } = options;
  const replies = openReplies(log, onProblem);
  const closing = new AbortController();

  const recordOf = ({ reservationId, project, correlationId = reservationId }: SpendingRequest, draft: Draft): Outgoing => {
    const { source, actor, configVersion } = options;
    const by = { source, actor, configversion: configVersion(), time: isoOf(now()) };
    const event: DatsEvent = stamp(inChain({ projectid: project, correlationid: correlationId }, draft), by);
    return outgoing(QUOTA, event, LEDGER_KEY);
  };
  const requestOf = (request: SpendingRequest): Outgoing => {
    const { reservationId: id, user, agent, tokens, costUsd, least, expiresMs } = request;
    const data = {
      reservation_id: id,
      ...(user === undefined ? {} : { user }),
      agent,
      tokens: Math.ceil(tokens),
      cost_usd: costUsd,
      ...(least === undefined ? {} : { least: { tokens: Math.ceil(least.tokens), cost_usd: least.costUsd } }),
      expires: isoOf(now() + expiresMs),
    };
    return recordOf(request, sayOn(QUOTA, LEDGER_KEY, 'dats.quota.requested', id, data, derivedId(id, 'requested')));
  };
  const settle = (request: SpendingRequest, { tokens, costUsd, calls = 0 }: Spent): Promise<void> => {
    const id = request.reservationId;
    const data = { reservation_id: id, tokens: Math.ceil(tokens), cost_usd: costUsd, calls };
    const record = recordOf(request, sayOn(QUOTA, LEDGER_KEY, 'dats.quota.consumed', id, data, derivedId(id, 'consumed')));
    const revoked = AbortSignal.any([closing.signal, timeoutSignal(SETTLE_MS)]);
    return untilDone(() => log.append([record]), { revoked, onTrouble: onProblem });
  };

  return {
    price: options.price,
    async reserve(request, signal) {
      const limited = limitedBy(options.quotas(), request);
      if (!limited.any) return { ok: true, settle: async () => {} };
      await replies.begin();
      signal.throwIfAborted();
      const late = timeoutSignal(options.answerMs ?? ANSWER_MS);
      const answer = replies.of(request.reservationId, AbortSignal.any([signal, closing.signal, late]));
      await log.append([requestOf(request)]);
      const reply = await answer;
      if (reply === undefined) {
        void settle(request, { tokens: 0, costUsd: 0 }).catch(onProblem);
        signal.throwIfAborted();
        throw new Fault(
          'retryable',
          'quota_unanswered',
          `the ledger of budgets did not answer within ${(options.answerMs ?? ANSWER_MS) / 1000} s; does a process with the deciders role run?`,
        );
      }
      if (reply.type === 'dats.quota.blocked') return refusal(reply.data, now());
      const { tokens, cost_usd: costUsd } = reply.data;
      // A model without a price costs nothing that anybody knows.
      const reserved: Reserved = { ...(limited.tokens ? { tokens } : {}), ...(limited.cost && costUsd > 0 ? { costUsd } : {}) };
      let settled: Promise<void> | undefined;
      return { ok: true, reserved, settle: (used) => (settled ??= settle(request, used)) };
    },
    async close() {
      closing.abort();
      await replies.close();
    },
  };
};
