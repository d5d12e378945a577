import { describe, expect, it } from 'vitest';
import { Fault } from '../../schemas/index.js';
import { openDelivery, SPANS_PER_REQUEST } from './deliver.js';
import type { Span } from './span.js';

const spans = (count: number): Span[] =>
  Array.from({ length: count }, (_, i) => ({
    traceId: '1'.repeat(32),
    spanId: String(i).padStart(16, '0'),
    name: `span ${i}`,
    kind: 'internal',
    startMs: 0,
    endMs: 1,
    attributes: {},
    events: [],
  }));
const away = (retryAfterMs?: number) =>
  new Fault('retryable', 'collector_unreachable', 'it is away', retryAfterMs === undefined ? {} : { retryAfterMs });

/** A collector that fails as often as it is told, then takes everything. */
const world = (failures: readonly Error[] = [], poison: ReadonlySet<string> = new Set()) => {
  const left = [...failures];
  const taken: string[] = [];
  const sizes: number[] = [];
  const waits: number[] = [];
  const told: string[] = [];
  const stop = new AbortController();
  const delivery = openDelivery({
    send: async (batch) => {
      const failure = left.shift();
      if (failure) throw failure;
      if (batch.some(({ name }) => poison.has(name))) throw new Fault('terminal', 'spans_refused', 'it is malformed');
      sizes.push(batch.length);
      taken.push(...batch.map(({ name }) => name));
    },
    onProblem: ({ code, message }) => told.push(`${code}: ${message}`),
    wait: async (ms) => {
      waits.push(ms);
    },
  });
  return { delivery, taken, sizes, waits, told, stop, signal: stop.signal };
};

describe('delivery', () => {
  it('sends what fits into a request, in order', async () => {
    const { delivery, taken, sizes, signal } = world();
    const all = spans(SPANS_PER_REQUEST + 3);
    expect(await delivery.deliver(all, signal)).toBe(true);
    expect(sizes).toEqual([SPANS_PER_REQUEST, 3]);
    expect(taken).toEqual(all.map(({ name }) => name));
    expect(await delivery.deliver([], signal)).toBe(true);
  });

  it('tries again until the collector is back, and tells an outage once', async () => {
    const { delivery, taken, told, waits, signal } = world([...Array.from({ length: 20 }, () => away())]);
    expect(await delivery.deliver(spans(2), signal)).toBe(true);
    expect(taken).toEqual(['span 0', 'span 1']);
    expect(told).toEqual(['collector_unreachable: it is away']);
    expect(waits).toHaveLength(20);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5_000);
  });

  it('waits as long as the collector asks', async () => {
    const { delivery, waits, signal } = world([away(3_000)]);
    await delivery.deliver(spans(1), signal);
    expect(waits[0]).toBeGreaterThanOrEqual(3_000);
  });

  it('tells the next outage again', async () => {
    let failing = true;
    const told: string[] = [];
    const delivery = openDelivery({
      send: async () => {
        failing = !failing;
        if (!failing) throw away();
      },
      onProblem: ({ code }) => told.push(code),
      wait: async () => {},
    });
    const { signal } = new AbortController();
    await delivery.deliver(spans(1), signal);
    await delivery.deliver(spans(1), signal);
    expect(told).toEqual(['collector_unreachable', 'collector_unreachable']);
  });

  it('leaves out only what the collector refuses, and names it', async () => {
    const { delivery, taken, told, signal } = world([], new Set(['span 5']));
    expect(await delivery.deliver(spans(9), signal)).toBe(true);
    expect(taken).toEqual(['span 0', 'span 1', 'span 2', 'span 3', 'span 4', 'span 6', 'span 7', 'span 8']);
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('the span "span 5" (0000000000000005 of trace');
  });

  it('gives up when it is to end', async () => {
    const { delivery, stop, signal, taken } = world([away()]);
    stop.abort();
    expect(await delivery.deliver(spans(1), signal)).toBe(false);
    expect(taken).toEqual([]);
  });

  it('gives up in the middle of an outage when it is to end', async () => {
    const stop = new AbortController();
    let tries = 0;
    const delivery = openDelivery({
      send: async () => {
        if (++tries === 3) stop.abort();
        throw away();
      },
      onProblem: () => {},
      wait: async () => {},
    });
    expect(await delivery.deliver(spans(1), stop.signal)).toBe(false);
    expect(tries).toBe(3);
  });
});
