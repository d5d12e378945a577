// Where people ask: the port of the analytics store. Types only; the adapter is clickhouse/ (a ClickHouse server, or the engine in a process of this node).
//
// A1. Everything in it can be dropped and built again from the log. A2. `insert` with the token of an earlier insert of the same rows changes nothing.
// A3. `ask` is for other people's SQL: one statement that only reads, within limits; what is more than that is refused by the engine, not by its users' good will.

/** A value of an answer. Whole numbers above 2^53 come as strings of digits, times as RFC 3339. */
export type Cell = string | number | boolean | null | readonly Cell[] | { readonly [key: string]: Cell };
export type Row = Readonly<Record<string, Cell>>;
/** Bound values: `{name:Type}` in the SQL. */
export type Parameters = Readonly<Record<string, string | number | boolean | readonly (string | number)[]>>;

export interface AskLimits {
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** Of the answer; more is an error, not a cut. */
  readonly rows: number;
  readonly memoryBytes: number;
}

export interface Answer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly Cell[])[];
  readonly elapsedMs: number;
  /** Rows that were looked at. */
  readonly rowsRead: number;
}

export interface Analytics {
  /**
   * Rows as JSON objects, one a line. All or none of a table's rows, unless the engine dies within (then the same insert again completes it or not: count).
   * @throws Fault retryable `analytics_unavailable`, `analytics_missing` (no such table: migrate); terminal `analytics_refused`.
   */
  insert(table: string, lines: string, token: string): Promise<void>;
  /** A statement of ours that returns nothing. @throws as `insert` */
  command(sql: string, parameters?: Parameters): Promise<void>;
  /** A question of ours. @throws as `insert` */
  query<R extends Row>(sql: string, parameters?: Parameters): Promise<readonly R[]>;
  /** A question of somebody else's (A3). @throws Fault terminal `query_refused` with why; `query_limit`; retryable `analytics_unavailable`, `analytics_missing` */
  ask(sql: string, limits: AskLimits, parameters?: Parameters): Promise<Answer>;
  health(): Promise<{ readonly ok: boolean; readonly detail?: string }>;
  close(): Promise<void>;
}
