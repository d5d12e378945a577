// Errors of ClickHouse as Faults, by their codes (never by text).
//
// E1. Who may try again: no answer, too busy, too full. E2. A missing table or database is retryable: somebody migrates. E3. Limits of `ask` have their own code.
import { Fault } from '../../schemas/index.js';

/** `system.errors` of ClickHouse. */
const CODES = {
  missing: new Set([60, 81]),
  busy: new Set([3, 159, 160, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 285, 290, 319, 394, 425, 439]),
  limit: new Set([158, 159, 160, 241, 307, 396]),
} as const;

const codeOf = (error: unknown): number | undefined => {
  const code = Number((error as { code?: unknown }).code);
  return Number.isInteger(code) && code > 0 ? code : undefined;
};

const firstLine = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error);
  const [line = ''] = message.split('\n', 1);
  return line.length > 600 ? `${line.slice(0, 600)} ...` : line;
};

const unavailable = (error: unknown): Fault =>
  new Fault('retryable', 'analytics_unavailable', `ClickHouse does not answer: ${firstLine(error) || 'no connection'}`, { cause: error });

/** Is it that a table or a database is not there? */
export const isMissing = (error: unknown): boolean => CODES.missing.has(codeOf(error) ?? 0);

/** Of a statement of ours. */
export const analyticsFault = (error: unknown): Fault => {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  if (code === undefined) return unavailable(error);
  if (CODES.missing.has(code))
    return new Fault('retryable', 'analytics_missing', `ClickHouse has not all tables: ${firstLine(error)}; run: dats migrate`, {
      cause: error,
    });
  if (CODES.busy.has(code))
    return new Fault('retryable', 'analytics_unavailable', `ClickHouse cannot do it now: ${firstLine(error)}`, { cause: error });
  return new Fault('terminal', 'analytics_refused', `ClickHouse refused: ${firstLine(error)}`, { cause: error });
};

/** Of a statement of somebody else. */
export const askFault = (error: unknown): Fault => {
  if (error instanceof Fault) return error;
  if (error instanceof SyntaxError)
    return new Fault('terminal', 'query_refused', 'the answer to this statement does not come in rows and columns (EXPLAIN AST, say)', {
      cause: error,
    });
  const code = codeOf(error);
  if (code === undefined) return unavailable(error);
  if (CODES.limit.has(code)) return new Fault('terminal', 'query_limit', firstLine(error), { cause: error });
  return new Fault('terminal', 'query_refused', firstLine(error), { cause: error });
};
