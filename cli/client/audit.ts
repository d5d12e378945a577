// The part of the client that asks whether history is what was signed, for proofs, and for all of it to take away.
import type { AuditCheckpoints, AuditProof, AuditReport } from '../../schemas/index.js';
import { Fault, isFault } from '../../schemas/index.js';
import type { Http } from './http.js';

const BASE = '/api/v1/audit';
/** A history is gone through as a whole: a little longer than the server takes time for it, milliseconds. */
const AUDIT_MS = 11 * 60_000;
/** Every bundle begins with the key, also that of a project of which nothing is known. */
const ANY_PROJECT = 'default';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** One of the three; an offset needs its project. */
export interface ProofQuery {
  readonly event_id?: string;
  readonly artifact_id?: string;
  readonly offset?: number;
  readonly project_id?: string | undefined;
}

/** Lines without their ends; empty ones too. Only a line feed ends one: other separators may stand inside of JSON text. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let begun: string[] = [];
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n');
    for (const rest of lines.slice(0, -1)) {
      yield [...begun, rest].join('');
      begun = [];
    }
    begun.push(lines.at(-1)!);
  }
  const last = [...begun, decoder.decode()].join('');
  if (last !== '') yield last;
}

const cutOff = (cause: unknown): Fault => {
  const why = cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
  return new Fault('retryable', 'bundle_cut_off', `the history was cut off on its way here (${why})`, { cause });
};

/** @throws Fault `bad_answer` */
const vkeyIn = (head: string): string => {
  try {
    const { vkey } = JSON.parse(head) as { readonly vkey?: unknown };
    if (typeof vkey === 'string') return vkey;
  } catch {
    // Said below.
  }
  throw new Fault('terminal', 'bad_answer', 'the server answered no bundle of history; is it a DATS server of this version?');
};

export const auditOf = (http: Http) => {
  const read = <T>(path: string, query: Readonly<Record<string, string | number | undefined>>, { signal }: CallOptions): Promise<T> =>
    http.json({ path: `${BASE}/${path}`, query, signal, timeoutMs: AUDIT_MS });

  async function* auditBundle(project: string, { signal }: CallOptions = {}): AsyncGenerator<string> {
    const { body } = await http.send({
      path: `${BASE}/bundle`,
      query: { project_id: project },
      signal,
      stream: true,
      headers: { accept: 'application/x-ndjson' },
    });
    if (body === null) return;
    try {
      yield* linesOf(body as unknown as AsyncIterable<Uint8Array>);
    } catch (error) {
      signal?.throwIfAborted();
      throw isFault(error) ? error : cutOff(error);
    }
  }

  return {
    /** What the server finds with its own key. Problems are an answer, not an error. */
    auditReport: (project: string, call: CallOptions = {}): Promise<AuditReport> => read('verify', { project_id: project }, call),
    /** Newest first. */
    auditCheckpoints: (project: string, limit?: number, call: CallOptions = {}): Promise<AuditCheckpoints> =>
      read('checkpoints', { project_id: project, limit }, call),
    auditProof: (query: ProofQuery, call: CallOptions = {}): Promise<AuditProof> => read('proof', { ...query }, call),
    /** A whole history, as the lines that `writeBundle` takes. @throws Fault `bundle_cut_off` */
    auditBundle,
    /** The vkey of whoever signs there. */
    auditKey: async (call: CallOptions = {}): Promise<string> => {
      for await (const head of auditBundle(ANY_PROJECT, call)) return vkeyIn(head);
      return vkeyIn('');
    },
  };
};
