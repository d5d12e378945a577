import { describe, expect, it } from 'vitest';
import { manualClock } from '../models/testing/manual-clock.js';
import { FRESH_MS, STALE_MS, watchGpus } from './gpu-watch.js';
import type { Gpu } from './gpus.js';

const open = () => {
  const clock = manualClock(1);
  const state = { reads: 0, closed: 0, answer: [] as readonly Gpu[] };
  const gpus = {
    read: async () => {
      state.reads += 1;
      return state.answer;
    },
    close: () => {
      state.closed += 1;
    },
  };
  return { clock, state, watch: watchGpus({ gpus, now: clock.now }) };
};
const busy = (ratio: number): readonly Gpu[] => [
  { index: 0, name: 'L4', utilisation_ratio: ratio, memory_total_bytes: 24 },
  { index: 1, name: 'L4' },
];
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a watch on graphics processors', () => {
  it('reads when it is asked, not before and not more often than needed, and tells what it read last', async () => {
    const { clock, state, watch } = open();
    state.answer = busy(0.5);
    await turn();
    expect(state.reads).toBe(0);
    expect(watch.of(0)).toBeUndefined();
    await turn();
    expect(watch.of(0)).toMatchObject({ utilisation_ratio: 0.5, memory_total_bytes: 24 });
    expect([watch.of(1)?.name, watch.of(2)]).toEqual(['L4', undefined]);
    state.answer = busy(0.9);
    clock.advance(FRESH_MS - 1);
    watch.of(0);
    expect(state.reads).toBe(1);
    clock.advance(1);
    expect(watch.of(0)?.utilisation_ratio).toBe(0.5);
    await turn();
    expect(watch.of(0)?.utilisation_ratio).toBe(0.9);
    expect(state.reads).toBe(2);
    expect(clock.pending()).toBe(0);
  });

  it('believes a reading for a while when no new one comes, and then knows nothing', async () => {
    const { clock, state, watch } = open();
    state.answer = busy(1);
    watch.of(0);
    await turn();
    state.answer = [];
    clock.advance(STALE_MS);
    expect(watch.of(0)).toBeDefined();
    await turn();
    clock.advance(1);
    expect(watch.of(0)).toBeUndefined();
  });

  it('reads nothing after it was closed', async () => {
    const { state, watch } = open();
    watch.close();
    watch.of(0);
    expect(state).toMatchObject({ reads: 0, closed: 1 });
  });
});
