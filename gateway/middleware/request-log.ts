// One line a request at debug, one at warn where something we need is away, one at error for what is our fault. No bodies, no header values: they may hold secrets.
import type { Logger } from 'pino';
import { isServerError, STATUS } from '../problem.js';

export interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Milliseconds since the epoch, when it came. */
  readonly started: number;
  readonly correlationId: string;
  /** The trace that it is part of, where there is one. */
  readonly traceId: string | undefined;
  readonly error?: unknown;
}

export const logRequest = (logger: Logger, now: () => number, line: RequestLine): void => {
  const { method, path, status, started, correlationId, traceId, error } = line;
  const ids = traceId === undefined ? { correlation_id: correlationId } : { correlation_id: correlationId, trace_id: traceId };
  if (error !== undefined && status === STATUS.unavailable) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    logger.warn({ method, path, status, ...ids, code, detail: message }, 'could not be answered now');
    return;
  }
  if (error !== undefined && isServerError(status)) {
    logger.error({ method, path, status, ...ids, err: error }, 'request failed');
    return;
  }
  if (logger.isLevelEnabled('debug')) logger.debug({ method, path, status, duration_ms: now() - started, ...ids }, 'request');
};
