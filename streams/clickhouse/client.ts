// The analytics store on ClickHouse: a server, or the embedded engine behind its socket. The only file that knows the client.

import { Agent } from 'node:http';
import { Readable } from 'node:stream';
import { type ClickHouseClient, ClickHouseLogLevel, type ClickHouseSettings, createClient } from '@clickhouse/client';
import { timeoutSignal } from '../../schemas/index.js';
import type { Analytics, Answer, AskLimits, Cell, Parameters, Row } from '../analytics.js';
import { EmbeddedEngine, type EmbeddedOptions } from './embedded.js';
import { analyticsFault, askFault, isMissing } from './faults.js';
import { checkReadOnly } from './guard.js';

export interface ServerOptions {
  /** `http://host:8123` */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** Let the server gather small inserts of many writers; an insert still waits until it is written. */
  readonly asyncInsert?: boolean;
}
export type ClickhouseOptions = { readonly server: ServerOptions } | { readonly embedded: EmbeddedOptions };

const CONNECTIONS = 8;
/** Of one request, in milliseconds: a batch of rows on a busy machine. */
const REQUEST_MS = 60_000;
const PING_MS = 2_000;

/** How answers are to be written: times as RFC 3339, whole numbers that do not fit a double in quotes. */
const FORM: ClickHouseSettings = {
  date_time_output_format: 'iso',
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 0,
};
/** Errors are thrown, with what was asked; whoever gets them tells. */
const SILENT = { level: ClickHouseLogLevel.OFF } as const;
/** A batch may hold any months: where clocks went wrong, or of a whole history that is brought again. */
const DEDUPLICATED: ClickHouseSettings = { deduplicate_blocks_in_dependent_materialized_views: 1, max_partitions_per_insert_block: '0' };
const GATHERED: ClickHouseSettings = { async_insert: 1, wait_for_async_insert: 1, async_insert_deduplicate: 1 };

const WHOLE = /^(?:Nullable\(|LowCardinality\(|SimpleAggregateFunction\(\w+, )*U?Int(?:64|128|256)\)*$/;

/** Digits in quotes become numbers where a double holds them. */
const unquoted = (value: Cell, type: string): Cell => {
  if (typeof value !== 'string' || !WHOLE.test(type)) return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

interface Compact {
  readonly meta: readonly { readonly name: string; readonly type: string }[];
  readonly data: readonly (readonly Cell[])[];
  readonly statistics?: { readonly elapsed: number; readonly rows_read: number };
}

export const openClickhouse = (options: ClickhouseOptions): Analytics => new Clickhouse(options);

class Clickhouse implements Analytics {
  readonly #engine: EmbeddedEngine | undefined;
  readonly #server: ServerOptions | undefined;
  readonly #client: ClickHouseClient;
  readonly #agent: Agent | undefined;

  constructor(options: ClickhouseOptions) {
    if ('embedded' in options) {
      this.#engine = new EmbeddedEngine(options.embedded);
      this.#agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, socketPath: this.#engine.socket } as object);
      this.#client = createClient({ url: 'http://127.0.0.1', http_agent: this.#agent, request_timeout: REQUEST_MS, log: SILENT });
    } else {
      this.#server = options.server;
      const { url, username, password } = options.server;
      this.#client = createClient({
        url,
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
        max_open_connections: CONNECTIONS,
        request_timeout: REQUEST_MS,
        log: SILENT,
      });
    }
  }

  insert(table: string, lines: string, token: string): Promise<void> {
    return this.#ours(async () => {
      const gathered = this.#server?.asyncInsert === true ? GATHERED : {};
      // Not `insert`: it would have every row as an object, to write it as JSON again.
      const { stream } = await this.#client.exec({
        query: `INSERT INTO ${table} FORMAT JSONEachRow`,
        values: Readable.from([lines], { objectMode: false }),
        clickhouse_settings: { ...DEDUPLICATED, ...gathered, insert_deduplication_token: token },
      });
      stream.resume();
    });
  }

  command(sql: string, parameters: Parameters = {}): Promise<void> {
    return this.#ours(async () => void (await this.#client.command({ query: sql, query_params: parameters })));
  }

  query<R extends Row>(sql: string, parameters: Parameters = {}): Promise<readonly R[]> {
    return this.#ours(async () => {
      const { meta, data } = await this.#compact(sql, parameters, {});
      return data.map((row) => Object.fromEntries(meta.map(({ name, type }, i) => [name, unquoted(row[i] ?? null, type)])) as R);
    });
  }

  async ask(sql: string, limits: AskLimits, parameters: Parameters = {}): Promise<Answer> {
    try {
      await this.#engine?.up();
      const settings: ClickHouseSettings = {
        readonly: '1',
        max_execution_time: limits.timeoutMs / 1_000,
        max_result_rows: String(limits.rows),
        result_overflow_mode: 'throw',
        max_memory_usage: String(limits.memoryBytes),
        // Or an error on the way would come in the middle of an answer that began well.
        wait_end_of_query: 1,
      };
      const formatted = await this.#compact('SELECT formatQuerySingleLine({statement:String}) AS f', { statement: sql }, { readonly: '1' });
      const [statement] = formatted.data[0] as [string];
      checkReadOnly(statement);
      const { meta, data, statistics } = await this.#compact(statement, parameters, settings);
      return {
        columns: meta.map(({ name, type }) => ({ name, type })),
        rows: data.map((row) => row.map((cell, i) => unquoted(cell, meta[i]!.type))),
        elapsedMs: Math.round((statistics?.elapsed ?? 0) * 1_000_000) / 1_000,
        rowsRead: statistics?.rows_read ?? 0,
      };
    } catch (error) {
      if (isMissing(error) && !(await this.#migrated())) throw analyticsFault(error);
      throw askFault(error);
    }
  }

  /** Are our tables there? Then a table that is missing is a slip of whoever asked. */
  async #migrated(): Promise<boolean> {
    const [row] = await this.query<{ there: number }>(
      "SELECT count() AS there FROM system.tables WHERE database = 'dats' AND name = 'events'",
    );
    return row?.there === 1;
  }

  async health(): Promise<{ ok: boolean; detail?: string }> {
    try {
      await this.#engine?.up();
      const { success, ...rest } = await this.#client.ping({ select: true, abort_signal: timeoutSignal(PING_MS) });
      if (success) return { ok: true, detail: this.#engine === undefined ? 'a ClickHouse server' : 'the embedded engine' };
      throw (rest as { error?: unknown }).error;
    } catch (error) {
      return { ok: false, detail: analyticsFault(error).message };
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
    this.#agent?.destroy();
    await this.#engine?.close();
  }

  async #ours<T>(act: () => Promise<T>): Promise<T> {
    try {
      await this.#engine?.up();
      return await act();
    } catch (error) {
      throw analyticsFault(error);
    }
  }

  async #compact(query: string, parameters: Parameters, settings: ClickHouseSettings): Promise<Compact> {
    const answer = await this.#client.query({
      query,
      format: 'JSONCompact',
      query_params: parameters as Record<string, unknown>,
      clickhouse_settings: { ...FORM, ...settings },
    });
    return (await answer.json()) as unknown as Compact;
  }
}
