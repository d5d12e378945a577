import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DataOf, type EventType, Fault, LIFECYCLE, partitionOf, workTopic } from '../../schemas/index.js';
import { type Log, outgoing, eventOf as readEvent } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { Slots } from '../../streams/runtime/index.js';
import { say } from '../draft.js';
import { type Effect, type EffectContext, SEQS_PER_RUN } from '../effect.js';
import { eventOf } from '../testing/index.js';
import { newInterrupts } from './interrupts.js';
import { type EffectRun, runEffects } from './run-effects.js';

const LANE = workTopic('small');
const NOW = Date.parse('2026-01-01T00:00:00.000Z');

let log: Log;
/** What was spoken: `<task>/<attempt>@<first number>: <text>`, `restart` or `end`. */
let spoken: string[];
let changed: () => void;
const ends: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  log = openMemoryLog({ partitions: 1 });
  spoken = [];
  changed = () => undefined;
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await log.close();
});

const speak: EffectRun['speak'] = (taskId, attempt, firstSeq) => {
  const note = (what: string) => {
    spoken.push(`${taskId}/${attempt}@${firstSeq}: ${what}`);
    changed();
  };
  return { say: note, restart: () => note('restart'), end: () => note('end') };
};

/** Serves the lane with one effect; `act` is what it does. */
const serve = async (
  act: (context: EffectContext, attempt: number) => Promise<void>,
  interrupts = newInterrupts(),
  more: Partial<Effect> = {},
) => {
  const effect: Effect = {
    name: 'tested',
    kinds: ['generate', 'analyse'],
    run: async (work, _ports, context) => {
      await act(context, work.data.attempt);
      const { task_id, attempt } = work.data;
      return [say('dats.task.cancel.requested', task_id, { task_id, reason: `attempt ${attempt}`, by: 'effect' })];
    },
    ...more,
  };
  const run: EffectRun = {
    group: 'workers',
    effects: [effect],
    ports: undefined as never,
    log,
    slots: new Slots(4),
    interrupts,
    node: 'node',
    worker: 'node:1',
    configVersion: () => '1',
    now: () => NOW,
    takeCalls: () => [],
    speak,
    drainMs: 0,
  };
  const membership = await log.join('workers', [LANE], (assignment) => runEffects(assignment, run));
  ends.push(() => membership.leave());
  return membership;
};

const request = async (kind: DataOf<'dats.work.requested'>['kind'], attempt = 1, due = '2026-01-01T01:00:00.000Z'): Promise<void> => {
  const event = eventOf('dats.work.requested', {
    task_id: 't',
    kind,
    attempt,
    tier: 'small',
    domain: 'code',
    prompt_version: 'generate@1',
    context: { created: 0, inputs: [] },
    due,
  });
  await log.append([outgoing(LANE, event, 't')]);
};

/** The outcomes on the log, once there are `count`. */
const outcomes = async (count: number): Promise<EventType[]> => {
  const types: EventType[] = [];
  const partition = partitionOf('project', log.partitions(LIFECYCLE));
  for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: 0 }, new AbortController().signal, { until: count }))
    types.push(...batch.map((record) => readEvent(record).type));
  return types;
};

const until = async (condition: () => Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
};

const words = () => spoken.map((line) => line.replace(/@\d+/, ''));
const numbers = () => spoken.map((line) => Number(/@(\d+)/.exec(line)![1]));

describe('the speech of work that generates', () => {
  it('is of its task and attempt, and ends before the outcome is recorded', async () => {
    await serve(async (context) => {
      context.onText('a');
      context.onRestart();
      context.onText('b');
    });
    await request('generate', 3);
    expect(await outcomes(1)).toEqual(['dats.task.cancel.requested']);
    expect(words()).toEqual(['t/3: a', 't/3: restart', 't/3: b', 't/3: end']);
  });

  it('ends when the work fails', async () => {
    await serve(async (context) => {
      context.onText('half');
      throw new Fault('terminal', 'model_error', 'it broke off');
    });
    await request('generate');
    expect(await outcomes(1)).toEqual(['dats.task.attempt.failed']);
    expect(words()).toEqual(['t/1: half', 't/1: end']);
  });

  it('ends when nobody wants the work any more', async () => {
    const interrupts = newInterrupts();
    const ended = new Promise<void>((resolve) => {
      changed = () => spoken.at(-1)?.endsWith('end') && resolve();
    });
    await serve(async (context) => {
      context.onText('half');
      interrupts.notice(eventOf('dats.task.cancelled', { task_id: 't', reason: 'r', by: 'b' }));
      context.signal.throwIfAborted();
    }, interrupts);
    await request('generate');
    await ended;
    expect(words()).toEqual(['t/1: half', 't/1: end']);
  });

  it('has higher numbers in every later run of the attempt, also under another owner', async () => {
    let runs = 0;
    const twice = new Promise<void>((resolve) => {
      changed = () => runs === 2 && resolve();
    });
    const first = await serve(async (context) => {
      runs++;
      context.onText(`run ${runs}`);
      if (runs === 1) throw new Fault('retryable', 'store_busy', 'not now');
      await new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true }));
    });
    await request('generate');
    await twice;
    await first.leave();
    await serve(async (context) => context.onText('run 3'));
    await outcomes(1);
    expect(words()).toEqual(['t/1: run 1', 't/1: end', 't/1: run 2', 't/1: end', 't/1: run 3', 't/1: end']);
    const [one, , two, , three] = numbers();
    expect([one! % SEQS_PER_RUN, two! % SEQS_PER_RUN, three! % SEQS_PER_RUN]).toEqual([0, 0, 0]);
    expect(one! < two! && two! < three!).toBe(true);
  });
});

describe('work that is not an attempt of its task', () => {
  const verdict: Partial<Effect> = {
    concerns: () => 'c1',
    givenUp: (_, { code }) => [say('dats.cascade.cancel.requested', 'c1', { cascade_id: 'c1', reason: code, by: 'effect' })],
  };
  const over = eventOf('dats.cascade.completed', {
    cascade_id: 'c1',
    outcome: 'cancelled',
    tainted: 0,
    suspect: 1,
    cleared: 0,
    already_tainted: 0,
    depth: 0,
    duration_ms: 1,
  });

  it('goes on when the task is cancelled, and stops when what it concerns is over', async () => {
    const interrupts = newInterrupts();
    let seen: boolean[] = [];
    await serve(
      async (context) => {
        interrupts.notice(eventOf('dats.task.cancelled', { task_id: 't', reason: 'r', by: 'b' }));
        seen = [context.signal.aborted];
        interrupts.notice(over);
        seen = [...seen, context.signal.aborted];
        context.signal.throwIfAborted();
      },
      interrupts,
      verdict,
    );
    await request('analyse');
    await until(async () => (await log.lag('workers', [LANE])).every(({ lag }) => lag === 0));
    expect(seen).toEqual([false, true]);
    expect((await log.range(LIFECYCLE, 0)).end).toBe(0);
  });

  it('that nobody began in time is given up with words', async () => {
    await serve(async () => undefined, newInterrupts(), verdict);
    await request('analyse', 1, '2025-12-31T00:00:00.000Z');
    expect(await outcomes(1)).toEqual(['dats.cascade.cancel.requested']);
  });
});

it('what is said while analysing is no task output, and goes nowhere', async () => {
  await serve(async (context) => {
    context.onText('thinking');
    context.onRestart();
  });
  await request('analyse');
  await outcomes(1);
  expect(spoken).toEqual([]);
});
