import { EventSourceParserStream } from 'eventsource-parser/stream';
import { afterEach, describe, expect, test } from 'vitest';
import { openWorld } from '../gateway/testing/world.js';
import type { Ask } from '../models/index.js';
import { generateEffect } from '../processors/generation/index.js';
import { newInterrupts, runEffects } from '../processors/host/index.js';
import { SEQS_PER_RUN } from '../processors/index.js';
import { eventOf, memoryArtifactStore, modelsThat } from '../processors/testing/index.js';
import { type DataOf, Fault, workTopic } from '../schemas/index.js';
import { type LiveChunk, outgoing } from '../streams/index.js';
import { Slots } from '../streams/runtime/index.js';
import { livePublisher, PIECE_CHARS } from './live-publisher.js';

const speaking = (attempt = 1, firstSeq = SEQS_PER_RUN) => {
  const said: (LiveChunk & { readonly taskId: string })[] = [];
  const publish = (taskId: string, chunk: LiveChunk) => void said.push({ taskId, ...chunk });
  return { said, speech: livePublisher({ publish })('t', attempt, firstSeq) };
};

test('pieces are numbered one by one, the end included, and nothing follows the end', () => {
  const { said, speech } = speaking(2);
  speech.say('a');
  speech.say('');
  speech.say('b');
  speech.end();
  speech.end();
  speech.say('late');
  speech.restart();
  expect(said).toEqual([
    { taskId: 't', attempt: 2, seq: SEQS_PER_RUN, text: 'a' },
    { taskId: 't', attempt: 2, seq: SEQS_PER_RUN + 1, text: 'b' },
    { taskId: 't', attempt: 2, seq: SEQS_PER_RUN + 2, text: '', end: true },
  ]);
});

test('a restart ends what was said, and the numbers go on', () => {
  const { said, speech } = speaking();
  speech.say('half an ans');
  speech.restart();
  speech.say('whole');
  speech.end();
  expect(said.map(({ seq, text, end }) => [seq - SEQS_PER_RUN, text, end === true])).toEqual([
    [0, 'half an ans', false],
    [1, '', true],
    [2, 'whole', false],
    [3, '', true],
  ]);
});

test('long text goes in small pieces, none of which cuts a character in two', () => {
  const { said, speech } = speaking();
  const text = `${'x'.repeat(PIECE_CHARS - 1)}\u{1F600}${'y'.repeat(2 * PIECE_CHARS)}`;
  speech.say(text);
  expect(said.map((chunk) => chunk.text).join('')).toBe(text);
  for (const chunk of said) expect(chunk.text.length).toBeLessThanOrEqual(PIECE_CHARS);
  expect(said[1]?.text.codePointAt(0)).toBe(0x1f600);
});

test('a speech that has used up its numbers is heard no more, but its end is, below the first number of the next run', () => {
  const { said, speech } = speaking();
  for (let i = 0; i < SEQS_PER_RUN + 5; i++) speech.say('x');
  speech.restart();
  speech.end();
  expect(said).toHaveLength(SEQS_PER_RUN);
  expect(said.at(-1)).toMatchObject({ seq: 2 * SEQS_PER_RUN - 1, end: true });
});

describe('from the model to the reader', () => {
  const LANE = workTopic('small');
  const WORK = { tier: 'small', domain: 'code', prompt_version: 'generate@1', due: '2100-01-01T00:00:00.000Z' } as const;
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** A gateway, and a worker that generates with a model which says what `answers` say, one an attempt. */
  const open = async (answers: readonly ((ask: Ask) => Promise<string>)[]) => {
    // A stream that does not see the end of the text would stay open for much longer than the test may take.
    const world = await openWorld({ gateway: { liveQuietMs: 60_000 } });
    closing.push(() => world.close());
    const run = {
      group: 'workers',
      effects: [generateEffect()],
      ports: { models: modelsThat((ask) => answers[ask.attempt! - 1]!(ask)), artifacts: memoryArtifactStore(), checks: undefined as never },
      log: world.log,
      slots: new Slots(1),
      interrupts: newInterrupts(),
      node: 'n',
      worker: 'n:1',
      configVersion: () => '1',
      now: Date.now,
      takeCalls: () => [],
      speak: livePublisher(world.live),
      drainMs: 0,
    };
    const membership = await world.log.join('workers', [LANE], (assignment) => runEffects(assignment, run));
    closing.push(() => membership.leave());
    const task = await world.task(await world.submit({ description: 'Write add in Python', project_id: 'p' }));
    const generate = (attempt: number) => {
      const data: DataOf<'dats.work.requested'> = {
        ...WORK,
        task_id: task.task_id,
        kind: 'generate',
        attempt,
        context: { created: task.first_offset, inputs: [] },
      };
      return world.log.append([outgoing(LANE, eventOf('dats.work.requested', data, { projectid: 'p' }), task.task_id)]);
    };
    const response = await world.app.request(`/api/v1/tasks/${task.task_id}/stream`);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
    const next = async (): Promise<string> => {
      const { done, value } = await reader.read();
      if (done) return '(closed)';
      const { attempt, text, state } = JSON.parse(value.data) as { attempt: number; text: string; state: string };
      return value.event === 'text' ? `${attempt} ${text}` : value.event === 'final' ? state : `${attempt} [${value.event}]`;
    };
    return { world, task, generate, next };
  };

  /** A model that says one more piece whenever it is told to. */
  const piecewise = () => {
    const told: (() => void)[] = [];
    const turns = Array.from({ length: 4 }, () => new Promise<void>((resolve) => told.push(resolve)));
    return {
      go: () => told.shift()?.(),
      say: async (ask: Ask, pieces: readonly string[]) => {
        for (const piece of pieces) {
          await turns.shift();
          ask.onText?.(piece);
        }
      },
    };
  };

  test('every piece is there as soon as it was said; a failed attempt ends, and the next one follows', async () => {
    const model = piecewise();
    const { world, task, generate, next } = await open([
      async (ask) => {
        await model.say(ask, ['I can', 'not']);
        throw new Fault('terminal', 'model_refused', 'it does not want to');
      },
      async (ask) => {
        await model.say(ask, ['```python path=add.py\n', 'def add(a, b): return a + b\n```']);
        return '```python path=add.py\ndef add(a, b): return a + b\n```';
      },
    ]);
    await generate(1);
    for (const shown of ['1 I can', '1 not']) {
      const waiting = next();
      model.go();
      expect(await waiting).toBe(shown);
    }
    expect(await next()).toBe('1 [end]');
    await generate(2);
    for (const shown of ['2 ```python path=add.py\n', '2 def add(a, b): return a + b\n```']) {
      const waiting = next();
      model.go();
      expect(await waiting).toBe(shown);
    }
    expect(await next()).toBe('2 [end]');
    await world.say(task, 'dats.task.completed', { attempt: 2, provenance_id: 'x', execution_time_ms: 1 });
    expect([await next(), await next()]).toEqual(['completed', '(closed)']);
  });
});
