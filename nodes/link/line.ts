// The line to the core: calls on one connection (HTTP/2), each with an end. Always from here to there: an edge node may sit behind any firewall.
//
// L1. A connection that died in silence costs one call: when that fails, it is given up, and the next call makes another.
import type { ClientHttp2Session } from 'node:http2';
import type { RemoteCall, RemoteModel, RemotePart } from '../../models/index.js';
import {
  batchTakenSchema,
  callsTakenSchema,
  contentsMissingSchema,
  Fault,
  type JoinedLink,
  type JoinLink,
  joinedLinkSchema,
  type LinkBatch,
  linkBatchSchema,
  type NodeBeat,
  partTakenSchema,
  timeoutSignal,
} from '../../schemas/index.js';
import { type Answer, call, isOtherProtocol, openConnection } from './connection.js';

export interface LineOptions {
  readonly url: string;
  /** The node that this is. */
  readonly node: string;
  readonly token: string;
  /** No answer for so long, and the line is down; milliseconds. Default: 10 s for a batch, 8 s for the rest. */
  readonly answerMs?: number;
}

export interface Line {
  /** @throws Fault retryable `link_down` (nobody there, or no answer), `link_refused` (what the core says to it), terminal `node_superseded`, `node_unauthorized` */
  join(body: JoinLink, signal: AbortSignal): Promise<JoinedLink>;
  /** How far the core has the partition. */
  send(batch: LinkBatch, signal: AbortSignal): Promise<number>;
  beat(beat: NodeBeat, signal: AbortSignal): Promise<void>;
  /** What lies in the core's outbox for this node; undefined when nothing came for a while. */
  outbox(after: number, signal: AbortSignal): Promise<LinkBatch | undefined>;
  /** Those of the contents that the core does not have. */
  missing(digests: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  sendContent(sha256: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  content(sha256: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Calls of this node's models; none when nothing came for a while. */
  takeCalls(models: readonly RemoteModel[], signal: AbortSignal): Promise<readonly RemoteCall[]>;
  /** @returns whether anybody waits for more */
  givePart(callId: string, part: RemotePart, signal: AbortSignal): Promise<boolean>;
  /** Ends the connection, which may be dead without saying so: the next call makes a new one. */
  hangUp(): void;
}

const ANSWER_MS = { batch: 10_000, rest: 8_000 } as const;
const NO_CONTENT = 204;
/** Problems that no second try mends. */
const FINAL = new Set(['node_superseded', 'node_unauthorized', 'no_nodes']);

export const openLine = ({ url, node, token, answerMs }: LineOptions): Line => {
  const base = url.replace(/\/$/, '');
  const { pathname } = new URL(`${base}/api/v1/link/`);
  const restMs = answerMs ?? ANSWER_MS.rest;
  let connection: ClientHttp2Session | undefined;
  const connected = (): ClientHttp2Session => {
    // It may have been told to end by the other side, as one that stops does.
    if (connection === undefined || connection.closed || connection.destroyed) connection = openConnection(base);
    return connection;
  };

  const asked = async (path: string, body: string | undefined, signal: AbortSignal, withinMs: number): Promise<Answer> => {
    let answer: Answer;
    try {
      const until = AbortSignal.any([signal, timeoutSignal(withinMs)]);
      answer = await call(connected(), `${pathname}${path}`, body, token, until);
    } catch (cause) {
      if (isOtherProtocol(cause)) throw new Fault('retryable', 'link_refused', `what answers at ${base} does not speak HTTP/2`, { cause });
      throw new Fault('retryable', 'link_down', `the core at ${base} does not answer`, { cause });
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    const { code, detail } = problemIn(answer.bytes.toString('utf8'));
    const message = `the core answers ${answer.status}${detail === undefined ? '' : `: ${detail}`}`;
    throw new Fault(code !== undefined && FINAL.has(code) ? 'terminal' : 'retryable', code ?? 'link_refused', message);
  };
  /** Undefined where there is no body. */
  const jsonOf = ({ status, bytes }: Answer): unknown =>
    status === NO_CONTENT || bytes.length === 0 ? undefined : understood(() => JSON.parse(bytes.toString('utf8')));
  const post = async (path: string, body: unknown, signal: AbortSignal, withinMs = restMs): Promise<unknown> =>
    jsonOf(await asked(path, JSON.stringify(body), signal, withinMs));
  const understood = <T>(read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      throw new Fault('retryable', 'link_refused', `what answers at ${base} is no core of this version`, { cause });
    }
  };
  const ask = async <T>(schema: { parse(value: unknown): T }, ...args: Parameters<typeof post>): Promise<T> => {
    const said = await post(...args);
    return understood(() => schema.parse(said));
  };
  const batchMs = answerMs ?? ANSWER_MS.batch;
  /** Of what waits at the core: long before the line is taken for dead. */
  const waitMs = Math.floor(restMs / 2);
  const whose = `node_id=${encodeURIComponent(node)}`;
  return {
    join: (body, signal) => ask(joinedLinkSchema, 'join', body, signal),
    send: async (batch, signal) => (await ask(batchTakenSchema, 'batches', batch, signal, batchMs)).next,
    beat: async (beat, signal) => void (await post('beats', beat, signal)),
    outbox: async (after, signal) => {
      const said = jsonOf(await asked(`outbox?${whose}&after=${after}&wait_ms=${waitMs}`, undefined, signal, batchMs));
      return said === undefined ? undefined : understood(() => linkBatchSchema.parse(said));
    },
    missing: async (sha256, signal) => (await ask(contentsMissingSchema, 'contents/missing', { node_id: node, sha256 }, signal)).missing,
    sendContent: async (sha256, bytes, signal) =>
      void (await post('contents', { node_id: node, sha256, base64: Buffer.from(bytes).toString('base64') }, signal, batchMs)),
    content: async (sha256, signal) => (await asked(`contents/${sha256}?${whose}`, undefined, signal, batchMs)).bytes,
    takeCalls: async (models, signal) =>
      (await ask(callsTakenSchema, 'calls/take', { node_id: node, models, wait_ms: waitMs }, signal)).calls as unknown as RemoteCall[],
    givePart: async (callId, part, signal) =>
      (await ask(partTakenSchema, `calls/${encodeURIComponent(callId)}/parts`, { node_id: node, ...part }, signal)).wanted,
    hangUp: () => {
      connection?.destroy();
      connection = undefined;
    },
  };
};

const problemIn = (text: string): { readonly code?: string; readonly detail?: string } => {
  try {
    const { type, detail } = JSON.parse(text) as { type?: unknown; detail?: unknown };
    const slug = typeof type === 'string' ? /\/problems\/([a-z-]{1,64})$/.exec(type)?.[1] : undefined;
    return { ...(slug === undefined ? {} : { code: slug.replaceAll('-', '_') }), ...(typeof detail === 'string' ? { detail } : {}) };
  } catch {
    return {};
  }
};
