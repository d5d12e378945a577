// Calls of models that other nodes have: whoever wants an answer leaves a call here, and the node comes for it, as nobody can reach the node.
//
// E1. A call is lent, not given: the node says something of it at least every LEASE_MS, text or only that it goes on, else the call ends here as one whose connection was
// lost, and another model is asked. E2. What a node says of a call that nobody waits for any more is answered with "not wanted": it stops there. E3. A node that
// has not come for its calls for AWAY_MS, or whose connection ended while it waited, is away: its models are down, and what it was lent ends. E4. Nothing is kept: whoever waits here dies with its process, and its work is done anew.
// E5. The node may come to any process of this installation, to another one each time: they tell each other (words.ts). What is lost between them costs a lease.
import { modelFault } from '../faults.js';
import { type GenerateChunk, type GenerateRequest, MODEL_FAULTS, type ModelFaultCode } from '../runner.js';
import { openTelling, type Words } from './words.js';

export const LEASE_MS = 15_000;
export const AWAY_MS = 15_000;
/** Calls that a node is given at once. */
const MOST_CALLS = 64;

export type RemoteWish =
  | { readonly kind: 'generate'; readonly request: GenerateRequest }
  | { readonly kind: 'embed'; readonly texts: readonly string[] };

export interface RemoteCall {
  readonly call_id: string;
  /** Id in servers.yaml, the same on both nodes. */
  readonly model: string;
  readonly wish: RemoteWish;
}

export interface Vectors {
  readonly vectors: readonly (readonly number[])[];
  readonly input_tokens: number;
}

/** What a node says of a call; nothing in it: it goes on. */
export interface RemotePart {
  readonly chunks?: readonly GenerateChunk[];
  readonly embedded?: Vectors;
  readonly fault?: { readonly code: string; readonly detail?: string; readonly retry_after_ms?: number };
}

export interface RemoteModel {
  readonly id: string;
  readonly ok: boolean;
  readonly detail?: string;
}

/** What came of a call, as it comes. */
export interface Lent {
  next(signal: AbortSignal): Promise<RemotePart>;
  /** Nobody waits for it any more. */
  close(): void;
}

export interface Exchange {
  /** Of a model that is on `node`. */
  lend(node: string, call: Omit<RemoteCall, 'call_id'>): Lent;
  /** How the model is, as its node said when it came last. */
  healthOf(node: string, model: string): { readonly ok: boolean; readonly detail?: string };
  /**
   * The node comes for its calls, and says how its models are; resolves when there is one, or the signal aborts.
   * @param gone aborts when the node's connection ends
   */
  take(node: string, models: readonly RemoteModel[], signal: AbortSignal, gone?: AbortSignal): Promise<readonly RemoteCall[]>;
  /** @returns whether anybody still waits for the call (E2) */
  give(node: string, callId: string, part: RemotePart): Promise<boolean>;
  /** Hears nothing of other processes any more. */
  close(): void;
}

/** Nobody has come for it yet. */
interface Waiting extends RemoteCall {
  readonly since: number;
}

/** Somebody in this process waits for what comes of it. */
interface Open {
  readonly parts: RemotePart[];
  taken: boolean;
  heardAt: number;
  wake: () => void;
}

interface NodeCalls {
  /** Of all processes. */
  waiting: Waiting[];
  /** By id. */
  readonly open: Map<string, Open>;
  models: ReadonlyMap<string, RemoteModel>;
  seenAt: number;
  /** Counts how often it came. */
  turn: number;
  wake: () => void;
}

export interface ExchangeOptions {
  readonly now?: () => number;
  readonly newId: () => string;
  readonly leaseMs?: number;
  /** To the other processes of this installation; none: there are none. */
  readonly words?: Words;
}

const nobody = (): void => {};

export const openExchange = ({ newId, now = () => performance.now(), leaseMs = LEASE_MS, words }: ExchangeOptions): Exchange => {
  const nodes = new Map<string, NodeCalls>();
  const of = (node: string): NodeCalls => {
    let calls = nodes.get(node);
    if (calls === undefined) {
      calls = { waiting: [], open: new Map(), models: new Map(), seenAt: Number.NEGATIVE_INFINITY, turn: 0, wake: nobody };
      nodes.set(node, calls);
    }
    return calls;
  };
  const isLending = (): boolean => [...nodes.values()].some(({ open }) => open.size > 0);
  const wait = (calls: NodeCalls, { call_id, model, wish }: RemoteCall): void => {
    calls.waiting.push({ call_id, model, wish, since: now() });
    calls.wake();
  };
  const drop = (calls: NodeCalls, callId: string): void => {
    calls.waiting = calls.waiting.filter(({ call_id }) => call_id !== callId);
  };
  const come = (calls: NodeCalls, models: readonly RemoteModel[]): void => {
    calls.turn += 1;
    calls.models = new Map(models.map((model) => [model.id, model]));
    calls.seenAt = now();
  };
  /** It has come for it. */
  const take = (calls: NodeCalls, callId: string): void => {
    drop(calls, callId);
    const call = calls.open.get(callId);
    if (call === undefined) return;
    call.taken = true;
    call.heardAt = now();
  };
  /** What it has taken ends; what it has not is for when it comes back. */
  const leave = (calls: NodeCalls): void => {
    calls.seenAt = Number.NEGATIVE_INFINITY;
    for (const call of calls.open.values()) {
      if (!call.taken) continue;
      call.heardAt = Number.NEGATIVE_INFINITY;
      call.wake();
    }
  };
  const hear = (calls: NodeCalls, callId: string, part: RemotePart): boolean => {
    calls.seenAt = now();
    const call = calls.open.get(callId);
    if (call === undefined) return false;
    call.heardAt = now();
    if (part.chunks !== undefined || part.embedded !== undefined || part.fault !== undefined) call.parts.push(part);
    call.wake();
    return true;
  };
  // E5.
  const others = openTelling({
    words,
    newId,
    now,
    leaseMs,
    isLending,
    heard: {
      waits: (node, call) => wait(of(node), call),
      taken: (node, callId) => take(of(node), callId),
      over: (node, callId) => drop(of(node), callId),
      here: (node, models) => come(of(node), models),
      gone: (node) => leave(of(node)),
      part: (node, callId, part) => void hear(of(node), callId, part),
    },
  });
  const lost = (node: string, model: string) =>
    modelFault(model, 'model_unreachable', { detail: `node ${node} says nothing of the call any more` });

  return {
    lend: (node, { model, wish }) => {
      const calls = of(node);
      const call: RemoteCall = { call_id: others.idOf(newId()), model, wish };
      const open: Open = { parts: [], taken: false, heardAt: now(), wake: nobody };
      calls.open.set(call.call_id, open);
      wait(calls, call);
      others.tell({ say: 'waits', node, call });
      return {
        next: async (signal) => {
          for (;;) {
            signal.throwIfAborted();
            const part = open.parts.shift();
            if (part !== undefined) return part;
            const left = open.heardAt + leaseMs - now();
            if (left <= 0) throw lost(node, model);
            await woken(open, left, signal);
          }
        },
        close: () => {
          calls.open.delete(call.call_id);
          drop(calls, call.call_id);
          others.tell({ say: 'over', node, call_id: call.call_id });
        },
      };
    },
    healthOf: (node, model) => {
      const { models, seenAt } = of(node);
      if (now() - seenAt > AWAY_MS) return { ok: false, detail: `model ${model}: node ${node} is not connected` };
      const found = models.get(model);
      if (found === undefined) return { ok: false, detail: `model ${model}: node ${node} does not have it; is its servers.yaml the same?` };
      return found.detail === undefined ? { ok: found.ok } : { ok: found.ok, detail: found.detail };
    },
    take: async (node, models, signal, gone) => {
      const calls = of(node);
      come(calls, models);
      const { turn } = calls;
      others.tell({ say: 'here', node, models });
      if (calls.waiting.length === 0) await woken(calls, AWAY_MS, signal);
      if (gone?.aborted) {
        // Unless it is back already, by another connection.
        if (turn !== calls.turn) return [];
        leave(calls);
        others.tell({ say: 'gone', node });
        return [];
      }
      calls.seenAt = now();
      if (signal.aborted) return [];
      // Whoever left the others died with its process.
      const taken = calls.waiting.filter(({ since }) => now() - since <= leaseMs).slice(0, MOST_CALLS);
      for (const { call_id } of taken) {
        take(calls, call_id);
        others.tell({ say: 'taken', node, call_id });
      }
      return taken.map(({ call_id, model, wish }) => ({ call_id, model, wish }));
    },
    give: async (node, callId, part) => hear(of(node), callId, part) || others.give(node, callId, part),
    close: () => others.close(),
  };
};

/** Until somebody wakes it, `ms` are over, or the signal aborts. */
const woken = (sleeper: { wake: () => void }, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      sleeper.wake = nobody;
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    sleeper.wake = done;
  });

const isModelFault = (code: string): code is ModelFaultCode => (MODEL_FAULTS as readonly string[]).includes(code);

/** What a node says went wrong, as the runner's own Fault: by its code; anything else is an error of the server. */
export const remoteFault = (model: string, { code, detail, retry_after_ms }: NonNullable<RemotePart['fault']>) =>
  modelFault(model, isModelFault(code) ? code : 'model_error', {
    ...(detail === undefined ? {} : { detail }),
    ...(retry_after_ms === undefined ? {} : { retryAfterMs: retry_after_ms }),
  });
