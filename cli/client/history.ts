// The part of the client that asks history: provenance, lineage, SQL, statistics, and the tables as a whole.
import type { Execution, Lineage, LineageDirection, Provenance, ProvenanceQuery, QueryAnswer, StatsAnswer } from '../../schemas/index.js';
import type { Http } from './http.js';

const BASE = '/api/v1';
/** A statement may take as long as analytics.query.timeout_ms allows at most, and wait for its turn; milliseconds. */
const STATEMENT_MS = 660_000;
/** For tables that are dropped or made, milliseconds. */
const TABLES_MS = 60_000;

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export type ExecutionFilter = { readonly [K in keyof ProvenanceQuery]?: ProvenanceQuery[K] | undefined };
export interface StatsFilter {
  readonly project_id?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly limit?: number | undefined;
}
export interface Migrated {
  readonly applied: readonly string[];
  readonly generation: string;
}

export const historyOf = (http: Http) => {
  const executions = async (filter: ExecutionFilter = {}, call: CallOptions = {}) => {
    const page = await http.json<{ executions: Execution[]; next_cursor: string | null }>({
      path: `${BASE}/provenance`,
      query: { ...filter },
      signal: call.signal,
    });
    return { items: page.executions as readonly Execution[], next: page.next_cursor ?? undefined };
  };
  return {
    /** By the id of an execution, an artifact or a task. */
    provenance: (id: string, call: CallOptions = {}): Promise<Provenance> =>
      http.json({ path: `${BASE}/provenance/${encodeURIComponent(id)}`, signal: call.signal }),
    lineage: (
      id: string,
      options: { readonly direction?: LineageDirection; readonly depth?: number } = {},
      call: CallOptions = {},
    ): Promise<Lineage> =>
      http.json({ path: `${BASE}/provenance/${encodeURIComponent(id)}/lineage`, query: { ...options }, signal: call.signal }),
    /** A page, newest first. */
    executions,
    /** Every execution that fits, page by page. */
    allExecutions: async function* (filter: ExecutionFilter = {}, call: CallOptions = {}): AsyncGenerator<Execution> {
      let cursor: string | undefined;
      do {
        const page = await executions({ ...filter, cursor }, call);
        yield* page.items;
        cursor = page.next;
      } while (cursor !== undefined);
    },
    query: (sql: string, parameters: Readonly<Record<string, unknown>> = {}, call: CallOptions = {}): Promise<QueryAnswer> =>
      http.json({ method: 'POST', path: `${BASE}/query`, json: { sql, parameters }, signal: call.signal, timeoutMs: STATEMENT_MS }),
    statsList: async (call: CallOptions = {}): Promise<readonly { readonly name: string; readonly question: string }[]> =>
      (await http.json<{ stats: { name: string; question: string }[] }>({ path: `${BASE}/stats`, signal: call.signal })).stats,
    stats: (name: string, filter: StatsFilter = {}, call: CallOptions = {}): Promise<StatsAnswer> =>
      http.json({
        path: `${BASE}/stats/${encodeURIComponent(name)}`,
        query: { ...filter },
        signal: call.signal,
        timeoutMs: STATEMENT_MS,
      }),
    rebuildViews: (call: CallOptions = {}): Promise<{ readonly detail: string }> =>
      http.json({
        method: 'POST',
        path: `${BASE}/views/rebuild`,
        json: { views: ['analytics'] },
        signal: call.signal,
        timeoutMs: TABLES_MS,
      }),
    migrateViews: (call: CallOptions = {}): Promise<Migrated> =>
      http.json({ method: 'POST', path: `${BASE}/views/migrate`, json: {}, signal: call.signal, timeoutMs: TABLES_MS }),
  };
};
