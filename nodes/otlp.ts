// Spans over OTLP/HTTP (JSON): one request, one answer. Trying again is processors/traces/deliver.ts.
//
// O1. Only what a collector acknowledged counts as sent. What it took in part is told, never sent again (OTLP says so). O2. 400, 413 and 422 are about
// the spans: terminal. Everything else may be mended by somebody or by time: retryable. O3. No header value and no credential of the address is
// repeated in a message.
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { SendSpans, Span } from '../processors/traces/index.js';
import { Fault, timeoutSignal } from '../schemas/index.js';

/** A collector that takes longer is away, in milliseconds. */
const ANSWER_MS = 10_000;
const TRACES_PATH = '/v1/traces';
const ABOUT_THE_SPANS: ReadonlySet<number> = new Set([400, 413, 422]);
const NANOS_PER_MS = 1e6;

export interface OtlpOptions {
  /** Of the collector, such as `http://127.0.0.1:4318`; or the whole address, ending in `/v1/traces`. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the spans are of: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>;
  readonly version: string;
  /** Told when a collector took only a part. */
  readonly onProblem: (fault: Fault) => void;
}

type ReadableSpan = Parameters<typeof JsonTraceSerializer.serializeRequest>[0][number];

const KINDS: Readonly<Record<Span['kind'], SpanKind>> = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT };
const SAMPLED = 1;

/** Seconds and nanoseconds. */
const hrTime = (ms: number): [number, number] => {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * NANOS_PER_MS)];
};

type Common = Pick<ReadableSpan, 'resource' | 'instrumentationScope'>;

const readable = (span: Span, common: Common): ReadableSpan => {
  const context = { traceId: span.traceId, spanId: span.spanId, traceFlags: SAMPLED };
  return {
    ...common,
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => context,
    ...(span.parentSpanId === undefined ? {} : { parentSpanContext: { ...context, spanId: span.parentSpanId } }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(span.endMs),
    duration: hrTime(span.endMs - span.startMs),
    status: span.error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: span.error },
    attributes: Object.fromEntries(
      Object.entries(span.attributes).map(([key, value]) => [key, typeof value === 'object' ? [...value] : value]),
    ),
    events: span.events.map(({ name, atMs, attributes }) => ({
      name,
      time: hrTime(atMs),
      attributes: { ...attributes } as ReadableSpan['attributes'],
    })),
    links: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
};

/** Where traces go, for a collector's address. */
export const tracesUrl = (url: string): string => {
  const target = new URL(url);
  const path = target.pathname.replace(/\/+$/, '');
  target.pathname = path.endsWith(TRACES_PATH) ? path : path + TRACES_PATH;
  return target.href;
};

/** `Retry-After` in milliseconds, where it is a number of seconds. */
const retryAfterMsOf = (headers: Headers): number | undefined => {
  const seconds = /^\s*(\d{1,6})\s*$/.exec(headers.get('retry-after') ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
};

const statusFault = (where: string, { status, headers }: Response): Fault => {
  if (ABOUT_THE_SPANS.has(status)) return new Fault('terminal', 'spans_refused', `the collector ${where} refused them with HTTP ${status}`);
  const retryAfterMs = retryAfterMsOf(headers);
  return new Fault(
    'retryable',
    'collector_unavailable',
    `the collector ${where} answers HTTP ${status}; traces wait in the log until it takes them (telemetry.otlp_url)`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
};

/** What a collector says it did not take; undefined where it took all, or says nothing that can be read. */
const rejectedIn = (body: string): { readonly count: number; readonly why: string } | undefined => {
  try {
    const { partialSuccess } = JSON.parse(body) as { partialSuccess?: { rejectedSpans?: number | string; errorMessage?: string } };
    const count = Number(partialSuccess?.rejectedSpans ?? 0);
    return count > 0 ? { count, why: String(partialSuccess?.errorMessage ?? '').slice(0, 500) } : undefined;
  } catch {
    return undefined;
  }
};

/** Credentials of an address go into a header: fetch takes none in it. */
const targetOf = (url: string): { readonly url: string; readonly headers: Readonly<Record<string, string>> } => {
  const target = new URL(tracesUrl(url));
  const { username, password } = target;
  if (username === '' && password === '') return { url: target.href, headers: {} };
  target.username = target.password = '';
  const pair = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  return { url: target.href, headers: { authorization: `Basic ${pair.toString('base64')}` } };
};

export const openOtlp = (options: OtlpOptions): SendSpans => {
  const target = targetOf(options.url);
  const where = new URL(target.url).origin;
  const headers = { 'content-type': 'application/json', 'user-agent': `dats/${options.version}`, ...target.headers, ...options.headers };
  const common: Common = {
    resource: resourceFromAttributes({ ...options.resource }),
    instrumentationScope: { name: 'dats', version: options.version },
  };
  return async (spans, signal) => {
    const body = JsonTraceSerializer.serializeRequest(spans.map((span) => readable(span, common)));
    if (body === undefined) throw new Fault('terminal', 'spans_refused', 'they cannot be written as OTLP');
    let response: Response;
    let answer: string;
    try {
      response = await fetch(target.url, {
        method: 'POST',
        headers,
        body: Buffer.from(body),
        redirect: 'manual',
        signal: AbortSignal.any([signal, timeoutSignal(ANSWER_MS)]),
      });
      answer = await response.text();
    } catch (error) {
      const code = (error as { cause?: { code?: unknown } }).cause?.code;
      const why = typeof code === 'string' ? ` (${code})` : '';
      throw new Fault(
        'retryable',
        'collector_unreachable',
        `the collector ${where} does not answer${why}; traces wait in the log until it does (telemetry.otlp_url)`,
      );
    }
    if (!response.ok) throw statusFault(where, response);
    const rejected = rejectedIn(answer);
    if (rejected !== undefined)
      options.onProblem(new Fault('terminal', 'spans_refused', `the collector ${where} left out ${rejected.count} spans: ${rejected.why}`));
  };
};
