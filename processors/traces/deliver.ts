// Spans on their way to the collector: until it has them, however long it is away.
//
// D1. What is not acknowledged is sent again, with backoff; meanwhile nobody asks for more, so memory is bounded. D2. An outage is told once, not at
// every try. D3. Spans that the collector refuses for what they are, are sent in halves until those that it refuses are alone; these are told and
// left out, because no second try helps and everything behind them would wait for ever.
import { Fault, toFault } from '../../schemas/index.js';
import { pause } from '../../streams/index.js';
import { backoffMs } from '../../streams/runtime/index.js';
import type { Span } from './span.js';

/** Spans of one request. */
export const SPANS_PER_REQUEST = 512;
/** Waits between two tries, in milliseconds. */
const BACKOFF = { baseMs: 100, maxMs: 5_000 };

/**
 * Resolves when the collector has them.
 * @throws Fault terminal where it refuses these spans for what they are, retryable for everything else; anything when `signal` aborted.
 */
export type SendSpans = (spans: readonly Span[], signal: AbortSignal) => Promise<void>;

export interface DeliveryOptions {
  readonly send: SendSpans;
  readonly onProblem: (fault: Fault) => void;
  /** Waits in milliseconds between tries, or until the signal aborts; for tests. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Delivery {
  /** True when the collector has all of them (or refused them, D3); false when `signal` aborted before. Never throws. */
  deliver(spans: readonly Span[], signal: AbortSignal): Promise<boolean>;
}

export const openDelivery = ({ send, onProblem, wait = pause }: DeliveryOptions): Delivery => {
  /** Code of the trouble since the last success. */
  let told: string | undefined;

  const sent = async (spans: readonly Span[], signal: AbortSignal): Promise<boolean> => {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await send(spans, signal);
        told = undefined;
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        const fault = toFault(error);
        if (fault.kind === 'terminal') return refused(spans, fault, signal);
        if (told !== fault.code) onProblem(fault);
        told = fault.code;
        await wait(backoffMs(attempt, BACKOFF, Math.random, fault.retryAfterMs), signal);
      }
    }
    return false;
  };

  const refused = async (spans: readonly Span[], fault: Fault, signal: AbortSignal): Promise<boolean> => {
    if (spans.length > 1) {
      const half = spans.length >> 1;
      return (await sent(spans.slice(0, half), signal)) && sent(spans.slice(half), signal);
    }
    const { name, spanId, traceId } = spans[0]!;
    onProblem(
      new Fault('terminal', fault.code, `the span "${name}" (${spanId} of trace ${traceId}) was left out: ${fault.message}`, {
        cause: fault,
      }),
    );
    return true;
  };

  return {
    async deliver(spans, signal) {
      for (let i = 0; i < spans.length; i += SPANS_PER_REQUEST)
        if (!(await sent(spans.slice(i, i + SPANS_PER_REQUEST), signal))) return false;
      return true;
    },
  };
};
