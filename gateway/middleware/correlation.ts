// Correlation: every request has an id that goes into its events, its log lines and its answer.
import { newId, TRACEPARENT } from '../../schemas/index.js';

const CORRELATION = /^[A-Za-z0-9._:/@+=-]{1,128}$/;

/** The caller's id where it is harmless text, or a new one. */
export const correlationIdOf = (header: string | null): string => (header !== null && CORRELATION.test(header) ? header : newId());

/** The caller's W3C trace, or one that begins here: its trace id and span id are taken from the ids of request and event. */
export const traceparentOf = (header: string | null, correlationId: string, eventId: string): string => {
  if (header !== null && TRACEPARENT.test(header)) return header;
  const trace = correlationId.length === 36 ? correlationId.replaceAll('-', '') : '';
  return `00-${/^[0-9a-f]{32}$/.test(trace) ? trace : eventId.replaceAll('-', '')}-${eventId.slice(19, 23)}${eventId.slice(24)}-01`;
};
