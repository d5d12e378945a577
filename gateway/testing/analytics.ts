// History that answers what it is told to, and keeps what it was asked. For what is decided around SQL; what SQL does is tested on the engine.
import type { Analytics, Answer, Parameters, Row } from '../../streams/index.js';

export interface Asked {
  readonly sql: string;
  readonly parameters: Parameters;
}

export interface ScriptedAnalytics {
  readonly analytics: Analytics;
  readonly asked: readonly Asked[];
}

/** `answers`: the rows of the first pattern that fits a question; none: no rows. Thrown errors reach whoever asked. */
export const scriptedAnalytics = (
  answers: readonly (readonly [pattern: RegExp, rows: (asked: Asked) => readonly Row[] | Promise<readonly Row[]>])[] = [],
): ScriptedAnalytics => {
  const asked: Asked[] = [];
  const rowsOf = async (sql: string, parameters: Parameters = {}): Promise<readonly Row[]> => {
    asked.push({ sql, parameters });
    const [, rows] = answers.find(([pattern]) => pattern.test(sql)) ?? [];
    return rows === undefined ? [] : rows({ sql, parameters });
  };
  const analytics: Analytics = {
    insert: () => Promise.reject(new Error('nothing is inserted here')),
    command: () => Promise.reject(new Error('nothing is commanded here')),
    query: async <R extends Row>(sql: string, parameters?: Parameters) => (await rowsOf(sql, parameters)) as readonly R[],
    ask: async (sql, _limits, parameters): Promise<Answer> => {
      const rows = await rowsOf(sql, parameters);
      const columns = Object.keys(rows[0] ?? {}).map((name) => ({ name, type: 'String' }));
      return { columns, rows: rows.map((row) => Object.values(row)), elapsedMs: 1, rowsRead: rows.length };
    },
    health: async () => ({ ok: true }),
    close: async () => undefined,
  };
  return { analytics, asked };
};
