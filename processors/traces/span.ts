// A finished span, as the fold makes it and an exporter takes it. Nothing of it depends on a telemetry package.

export type AttributeValue = string | number | boolean | readonly string[];
export type SpanAttributes = Readonly<Record<string, AttributeValue>>;

/** Something that happened within a span. */
export interface SpanEvent {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly attributes: SpanAttributes;
}

export interface Span {
  /** 32 and 16 lower-case hex digits, never all zero. */
  readonly traceId: string;
  readonly spanId: string;
  /** Absent on the root of a trace that begins here. */
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  /** Milliseconds since the epoch, with fractions where they are known. `endMs` is not before `startMs`. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  readonly events: readonly SpanEvent[];
  /** A code, where it went wrong; never text of a task or a model. */
  readonly error?: string;
}
