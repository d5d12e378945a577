// Correlation: every request has an id that goes into its events, its log lines and its answer.
import { newId, TRACEPARENT } from '../../schemas/index.js';

const CORRELATION = /^[A-Za-z0-9._:/@+=-]{1,128}$/;

/** The caller's id where it is harmless text, or a new one. */
export const correlationIdOf = (header: string | null): string => (header !== null && CORRELATION.test(header) ? header : newId());

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** A UUID without its dashes; `replaceAll` takes five times as long. */
const digitsOf = (uuid: string): string => uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);

/** The caller's W3C trace, or one that begins here: its trace id and span id are taken from the ids of request and event. */
export const traceparentOf = (header: string | null, correlationId: string, eventId: string): string => {
  if (header !== null && TRACEPARENT.test(header)) return header;
  const trace = UUID.test(correlationId) ? digitsOf(correlationId) : correlationId.length === 36 ? correlationId.replaceAll('-', '') : '';
  return `00-${/^[0-9a-f]{32}$/.test(trace) ? trace : digitsOf(eventId)}-${eventId.slice(19, 23)}${eventId.slice(24)}-01`;
};
