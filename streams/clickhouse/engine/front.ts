// As much of ClickHouse's HTTP interface as our client speaks, before the engine in this process.
//
// T1. A request with `readonly=1` runs on a session that the engine itself holds to reading, with its limits set when it was opened: nothing in a statement
// loosens them. T2. A session runs one statement at a time: each kind has a few. T3. Errors carry the engine's code in `x-clickhouse-exception-code`.
// T4. Per-statement settings go into the statement (`SETTINGS`): given with a call they would stick to the session.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** One session of the engine. */
export interface EngineSession {
  run(sql: string): Promise<Buffer>;
}

export interface FrontOptions {
  readonly writers: readonly EngineSession[];
  /** For questions of ours: they do not wait for inserts. */
  readonly questions: readonly EngineSession[];
  readonly readers: readonly EngineSession[];
}

/** Of a request body, in bytes: a batch of rows. */
const BODY_LIMIT_BYTES = 256 * 1024 * 1024;
/** Of the address, which holds the values of a statement: as much as a ClickHouse server takes (`http_max_uri_size`). */
const ADDRESS_LIMIT_BYTES = 1024 * 1024;
const INSERT = /^INSERT INTO (\S+)(?: (\([^)]*\)))? FORMAT (\w+)\s*$/;

/** Hands out sessions, first come first served. */
const pool = (sessions: readonly EngineSession[]) => {
  const free = [...sessions];
  const waiting: ((session: EngineSession) => void)[] = [];
  return async <T>(use: (session: EngineSession) => Promise<T>): Promise<T> => {
    const session = free.pop() ?? (await new Promise<EngineSession>((resolve) => waiting.push(resolve)));
    try {
      return await use(session);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free.push(session);
      else next(session);
    }
  };
};

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) throw new Error(`a body above ${BODY_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** What the client puts into the address for every statement, and means nothing here. */
const NOT_SETTINGS = new Set(['query', 'query_id', 'database', 'default_format', 'session_id', 'role', 'readonly', 'wait_end_of_query']);

/** The statement, with the settings of the address in it. */
const statementOf = (address: URLSearchParams, body: Buffer): string => {
  const query = address.get('query');
  if (query === null) return body.toString('utf8');
  const insert = INSERT.exec(query);
  if (insert === null) return `${query}\n${body.toString('utf8')}`;
  const settings = [...address].filter(([name]) => !NOT_SETTINGS.has(name) && !name.startsWith('param_'));
  const clause = settings.length === 0 ? '' : ` SETTINGS ${settings.map(([name, value]) => `${name}=${quoted(value)}`).join(', ')}`;
  return `INSERT INTO ${insert[1]}${insert[2] === undefined ? '' : ` ${insert[2]}`}${clause} FORMAT ${insert[3]}\n${body.toString('utf8')}`;
};

const UNESCAPED: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', 0: '\0' };
const unescaped = (text: string): string => text.replace(/\\(.)/gs, (_, char: string) => UNESCAPED[char] ?? char);

/** A place for a value; or literals, quoted names and comments, in which there is none: a value put there would end them, and be read as SQL. */
const PLACE_OR_TEXT = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|--[^\n]*|\/\*[\s\S]*?\*\/|\{(\w+):([^{}]+)\}/gs;

/**
 * `{name:Type}` by its value, cast to its type, as the server does it. The client sends a plain value escaped, a compound one as it is written in SQL.
 * Not by the engine's own binding: that lets only one bound statement run in the whole process at a time.
 */
export const bound = (sql: string, address: URLSearchParams): string => {
  if (![...address.keys()].some((name) => name.startsWith('param_'))) return sql;
  return sql.replace(PLACE_OR_TEXT, (whole, name: string | undefined, type: string) => {
    const value = name === undefined ? null : address.get(`param_${name}`);
    if (value === null) return whole;
    return `_CAST(${quoted(/^(Array|Tuple|Map)\(/.test(type) ? value : unescaped(value))}, ${quoted(type)})`;
  });
};

/** `Code: 62. ...`, where the error has no code of its own. */
const codeIn = (error: unknown): string => {
  const { clickhouseCode } = error as { clickhouseCode?: number };
  return String(clickhouseCode ?? /Code: (\d+)/.exec(String(error))?.[1] ?? 1001);
};

const QUESTION = /^\s*(?:SELECT|WITH)\b/i;

export const createFront = ({ writers, questions, readers }: FrontOptions): Server => {
  const write = pool(writers);
  const question = pool(questions);
  const read = pool(readers);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://engine');
    if (pathname === '/ping') {
      response.end('Ok.\n');
      return;
    }
    try {
      const statement = bound(statementOf(searchParams, await bodyOf(request)), searchParams);
      const use = searchParams.get('readonly') === '1' ? read : QUESTION.test(statement) ? question : write;
      const bytes = await use((session) => session.run(statement));
      response.setHeader('content-type', 'text/plain; charset=UTF-8');
      response.end(bytes);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      response.statusCode = 500;
      response.setHeader('x-clickhouse-exception-code', codeIn(error));
      response.end(/^Code: \d+/.test(message) ? message : `Code: ${codeIn(error)}. DB::Exception: ${message} (ENGINE)`);
    }
  };
  return createServer({ maxHeaderSize: ADDRESS_LIMIT_BYTES }, (request, response) => void answer(request, response));
};
