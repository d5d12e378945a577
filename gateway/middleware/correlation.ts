// Correlation: every request has an id that goes into its events, its log lines and its answer.
import { newId } from '../../schemas/index.js';
import { formatTraceparent, traceContextOf } from './trace.js';

const CORRELATION = /^[A-Za-z0-9._:/@+=-]{1,128}$/;

/** The caller's id where it is harmless text, or a new one. */
export const correlationIdOf = (header: string | null): string => (header !== null && CORRELATION.test(header) ? header : newId());

/** A UUID without its dashes; `replaceAll` takes five times as long. */
const digitsOf = (uuid: string): string => uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);

/**
 * The caller's W3C trace, or one that begins with this event: its ids are digits of the event's id, and the span that it names is nobody's
 * (processors/traces/ids.ts knows it by that). A correlation id is no trace id: callers may use one for many tasks.
 */
export const traceparentOf = (header: string | null, eventId: string): string => {
  const caller = traceContextOf(header);
  if (caller !== undefined) return formatTraceparent(caller);
  return `00-${digitsOf(eventId)}-${eventId.slice(19, 23)}${eventId.slice(24)}-01`;
};
