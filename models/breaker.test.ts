import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Breaker, openBreaker } from './breaker.js';
import { manualClock } from './testing/manual-clock.js';

const LIMITS = { threshold: 3, cool_down_ms: 100, longest_cool_down_ms: 400 };
const open = () => {
  const clock = manualClock(1_000);
  return { clock, breaker: openBreaker(clock, LIMITS, () => 0) };
};
const fail = (breaker: Breaker, times: number): void => {
  for (let i = 0; i < times; i++) breaker.settle(breaker.begin()!, 'failed');
};

describe('a breaker', () => {
  it('opens after failures in a row, not after as many with a success between', () => {
    const { breaker } = open();
    fail(breaker, 2);
    breaker.settle(breaker.begin()!, 'ok');
    fail(breaker, 2);
    expect(breaker.state).toBe('closed');
    fail(breaker, 1);
    expect(breaker.state).toBe('open');
    expect(breaker.begin()).toBeUndefined();
    expect(breaker.readyInMs()).toBe(100);
  });

  it('lets one call find out after the cool-down, and closes when it succeeds', () => {
    const { breaker, clock } = open();
    fail(breaker, 3);
    clock.advance(100);
    const pass = breaker.begin();
    expect(pass).toBeDefined();
    expect(breaker.state).toBe('half_open');
    expect(breaker.begin()).toBeUndefined();
    breaker.settle(pass!, 'ok');
    expect(breaker.state).toBe('closed');
    fail(breaker, 2);
    expect(breaker.state).toBe('closed');
  });

  it('cools down twice as long each time the finding out fails, up to its limit', () => {
    const { breaker, clock } = open();
    fail(breaker, 3);
    for (const coolDown of [100, 200, 400, 400]) {
      expect(breaker.readyInMs()).toBe(coolDown);
      clock.advance(coolDown);
      fail(breaker, 1);
    }
  });

  it('cools down longer than said by chance, and never shorter', () => {
    for (const [random, coolDown] of [
      [0, 100],
      [0.5, 112.5],
      [1, 125],
    ] as const) {
      const clock = manualClock();
      const breaker = openBreaker(clock, LIMITS, () => random);
      fail(breaker, 3);
      expect(breaker.readyInMs()).toBe(coolDown);
    }
  });

  it('lets the next one find out when the caller of the first left', () => {
    const { breaker, clock } = open();
    fail(breaker, 3);
    clock.advance(100);
    breaker.settle(breaker.begin()!, 'left');
    expect(breaker.begin()).toBeDefined();
  });

  it('takes nothing from calls that began before it opened', () => {
    const { breaker, clock } = open();
    const old = breaker.begin()!;
    fail(breaker, 3);
    breaker.settle(old, 'ok');
    expect(breaker.state).toBe('open');
    clock.advance(100);
    breaker.begin();
    breaker.settle(old, 'failed');
    expect(breaker.state).toBe('half_open');
  });

  it('leaves a model alone for as long as it asked', () => {
    const { breaker, clock } = open();
    breaker.settle(breaker.begin()!, 'ok');
    breaker.hold(500);
    breaker.hold(200);
    expect(breaker).toMatchObject({ held: true, state: 'closed' });
    expect(breaker.readyInMs()).toBe(500);
    clock.advance(499);
    expect(breaker.begin()).toBeUndefined();
    clock.advance(1);
    expect(breaker.begin()).toBeDefined();
  });

  it('admits one at most while half open and none while open, whatever happens', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('begin' as const) }),
      fc.record({
        kind: fc.constant('settle' as const),
        which: fc.nat(9),
        outcome: fc.constantFrom('ok' as const, 'failed' as const, 'left' as const),
      }),
      fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 250 }) }),
      fc.record({ kind: fc.constant('hold' as const), ms: fc.integer({ min: 1, max: 250 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { breaker, clock } = open();
        const passes: number[] = [];
        let probing: number | undefined;
        for (const s of steps) {
          if (s.kind === 'advance') clock.advance(s.ms);
          else if (s.kind === 'hold') breaker.hold(s.ms);
          else if (s.kind === 'begin') {
            const { state, held } = breaker;
            const admitted = breaker.admits();
            const waitMs = breaker.readyInMs();
            const pass = breaker.begin();
            expect(pass !== undefined).toBe(admitted);
            if (pass === undefined) continue;
            expect(held).toBe(false);
            expect(waitMs).toBe(0);
            expect(state).not.toBe('half_open');
            if (state === 'open') {
              expect(probing).toBeUndefined();
              probing = pass;
            }
            passes.push(pass);
          } else if (passes.length > 0) {
            const [pass] = passes.splice(s.which % passes.length, 1);
            breaker.settle(pass!, s.outcome);
            if (pass === probing) probing = undefined;
          }
        }
        // It always comes back: nothing can keep it shut.
        if (probing !== undefined) breaker.settle(probing, 'left');
        clock.advance(LIMITS.longest_cool_down_ms + 250);
        expect(breaker.admits()).toBe(true);
      }),
    );
  });
});
