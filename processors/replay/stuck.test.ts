// Timers of a lane that nothing comes of, and deciders that break: what the real ones never do.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Fault } from '../../schemas/index.js';
import type { Fold } from '../host/fold.js';
import { BUILT_IN_PROMPTS } from '../prompt-versions.js';
import { openBreather } from './breather.js';
import { openHistory } from './history.js';
import { runLane } from './lane.js';
import { statisticsOf } from './statistics.js';
import { eventIn, makeHistory } from './testing/index.js';

/** What a lane's fold is made into. */
let change: (fold: Fold) => Partial<Fold>;
vi.mock('../host/fold.js', async (importOriginal) => {
  const real = await importOriginal<typeof import('../host/fold.js')>();
  return {
    ...real,
    openFold: (...given: Parameters<typeof real.openFold>) => {
      const fold = real.openFold(...given);
      return { ...fold, ...change(fold) };
    },
  };
});
beforeEach(() => {
  change = () => ({});
});

const never = new AbortController().signal;
const run = async (changed: typeof change) => {
  const made = makeHistory({ seed: 3, tasks: 10, trouble: 0 });
  const options = { choice: {}, shadow: 's', policy: made.scheduling, answerLimitMs: made.routing.answerLimitMs! };
  const read = openHistory(options);
  for (const record of made.records) read.take(eventIn(record), record.offset);
  const { history, runs: observed } = await read.finish(openBreather(never));
  change = changed;
  const statistics = await statisticsOf(history.tasks.values(), openBreather(never));
  const { routing, scheduling } = made;
  const lane = {
    project: 'p',
    shadow: 's',
    history,
    observed,
    statistics,
    routing,
    scheduling,
    prompts: BUILT_IN_PROMPTS,
    changes: {},
    firstOffset: 1_000,
  };
  return runLane({ ...lane, breather: openBreather(never), onProgress: async () => {} });
};

/** After every event a timer is due so many times, and nothing comes of it. */
const idling = (times: number) => (fold: Fold) => {
  let left = times;
  let now = 0;
  return {
    take: (...given: Parameters<Fold['take']>) => {
      left = times;
      now = Date.parse(given[0].time);
      return fold.take(...given);
    },
    nextDue: () => (left > 0 ? now : fold.nextDue()),
    tick: (...given: Parameters<Fold['tick']>) => (left-- > 0 ? [] : fold.tick(...given)),
  };
};

describe('a lane', () => {
  it('goes on where timers are idle between events', async () => {
    expect((await run(idling(400))).counters.diverged).toBeGreaterThanOrEqual(0);
  });

  it('that only idles ends its replay, not its node', async () => {
    await expect(run(idling(Number.POSITIVE_INFINITY))).rejects.toMatchObject({ kind: 'terminal', code: 'replay_stuck' });
  });

  it('whose deciders break ends its replay, not its node', async () => {
    const breaking = () => ({
      take: () => {
        throw new Fault('fatal', 'decider_loop', 'round and round');
      },
    });
    await expect(run(breaking)).rejects.toMatchObject({ kind: 'terminal', code: 'decider_loop' });
  });
});
