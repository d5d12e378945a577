// W3C Trace Context of a request: the caller's trace where there is one, else one that begins here. Random ids are made here and nowhere further in.
//
// C1. What is not valid is ignored, as if it were not there: upper case, all zero, version ff, or fields that version 00 does not have. C2. A later
// version is read as far as version 00 goes, and handed on as version 00.
import { randomBytes } from 'node:crypto';

const INCOMING = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;
/** The flags that there are: sampled, random trace id. */
const KNOWN_FLAGS = 3;

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  /** Two hex digits. */
  readonly flags: string;
}

/** @returns undefined where the header is not there, or is not valid (C1). */
export const traceContextOf = (header: string | null): TraceContext | undefined => {
  const match = header === null ? null : INCOMING.exec(header);
  if (match === null || (match[1] === '00' && match[5] !== undefined)) return undefined;
  const flags = Number.parseInt(match[4]!, 16) & KNOWN_FLAGS;
  return { traceId: match[2]!, spanId: match[3]!, flags: `0${flags}` };
};

/** Does whoever began the trace want it recorded? */
export const isSampledBy = (flags: string): boolean => (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED;

export const formatTraceparent = ({ traceId, spanId, flags }: TraceContext): string => `00-${traceId}-${spanId}-${flags}`;

/** The span that a request is. */
export interface RequestTrace extends TraceContext {
  /** The caller's span; absent where the trace begins with this request. */
  readonly parentSpanId?: string;
}

const ZERO = /^0+$/;
const randomId = (bytes: number): string => {
  for (;;) {
    const id = randomBytes(bytes).toString('hex');
    if (!ZERO.test(id)) return id;
  }
};

/** A new span for a request, in the caller's trace or in one of its own. */
export const openRequestTrace = (header: string | null): RequestTrace => {
  const caller = traceContextOf(header);
  const spanId = randomId(8);
  return caller === undefined
    ? { traceId: randomId(16), spanId, flags: '01' }
    : { traceId: caller.traceId, spanId, flags: caller.flags, parentSpanId: caller.spanId };
};
