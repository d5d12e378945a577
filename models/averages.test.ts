import { describe, expect, it } from 'vitest';
import { HALF_LIFE_MS, MOST_CALLS, openAverages, TRIAL_CALLS } from './averages.js';
import { manualClock } from './testing/manual-clock.js';

const open = () => {
  const clock = manualClock(5);
  return { clock, averages: openAverages(clock) };
};

describe('what the last calls say', () => {
  it('is nothing before there are some', () => {
    const { averages, clock } = open();
    for (let i = 1; i < 4; i++) averages.add(true, 100);
    expect([averages.errorRate(), averages.latencyMs()]).toEqual([undefined, undefined]);
    clock.advance(1_000);
    averages.add(true, 100);
    expect([averages.errorRate(), averages.latencyMs()]).toEqual([1, 100]);
  });

  it('is the part that failed and the mean latency, newer calls weigh more', () => {
    const { averages, clock } = open();
    for (let i = 0; i < 10; i++) averages.add(false, 100);
    clock.advance(HALF_LIFE_MS);
    for (let i = 0; i < 5; i++) averages.add(true, 300);
    expect(averages.errorRate()).toBeCloseTo(0.5);
    expect(averages.latencyMs()).toBeCloseTo(200);
  });

  it('is of so many calls at most: a long good time does not hide a bad moment', () => {
    const { averages } = open();
    for (let i = 0; i < 10_000; i++) averages.add(false, undefined);
    for (let i = 0; i < MOST_CALLS; i++) averages.add(true, undefined);
    expect(averages.errorRate()).toBeGreaterThan(0.6);
  });

  it('is forgotten when no call comes', () => {
    const { averages, clock } = open();
    for (let i = 0; i < 100; i++) averages.add(true, 50);
    clock.advance(2 * HALF_LIFE_MS);
    expect(averages.errorRate()).toBe(1);
    clock.advance(HALF_LIFE_MS);
    expect([averages.errorRate(), averages.latencyMs()]).toEqual([undefined, undefined]);
  });

  it('changes quickly by trial calls', () => {
    const { averages } = open();
    for (let i = 0; i < 20; i++) averages.add(i % 2 === 0, undefined);
    let trials = 0;
    while ((averages.errorRate() ?? 0) >= 0.075) {
      averages.add(false, undefined, TRIAL_CALLS);
      trials += 1;
    }
    expect(trials).toBe(4);
  });

  it('takes a latency alone, and leaves the rate as it is', () => {
    const { averages } = open();
    for (let i = 0; i < 4; i++) averages.addLatency(40);
    expect([averages.errorRate(), averages.latencyMs()]).toEqual([undefined, 40]);
  });
});
