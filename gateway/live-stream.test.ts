import { EventSourceParserStream } from 'eventsource-parser/stream';
import { afterEach, describe, expect, test } from 'vitest';
import { SEQS_PER_RUN } from '../processors/index.js';
import type { TaskView } from '../schemas/index.js';
import type { LiveText } from '../streams/index.js';
import { openWorld, until, type World, type WorldOptions } from './testing/world.js';

/** Far beyond what a test takes: what ends sooner than this did not wait for it. */
const NEVER_MS = 60_000;
const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

/** A gateway, and how many follow the text of a task at the moment. */
const open = async (options: WorldOptions = {}, liveQuietMs = NEVER_MS) => {
  const followed = { now: 0 };
  const counting = (live: LiveText): LiveText => ({
    publish: live.publish,
    close: live.close,
    async *follow(taskId, signal) {
      followed.now++;
      try {
        yield* live.follow(taskId, signal);
      } finally {
        followed.now--;
      }
    },
  });
  const world = await openWorld({ live: counting, gateway: { liveQuietMs, streams: { heartbeatMs: 20 } }, ...options });
  worlds.push(world);
  const task = await world.submit({ description: 'x', project_id: 'p' });
  const view = { task_id: task, project_id: 'p' };
  /** Pieces of text; `undefined` is the end. */
  const say = (attempt: number, from: number, ...texts: readonly (string | undefined)[]): void => {
    texts.forEach((text, i) => {
      const seq = SEQS_PER_RUN + from + i;
      world.live.publish(task, text === undefined ? { attempt, seq, text: '', end: true } : { attempt, seq, text });
    });
  };
  return { world, task, view, say, followed };
};

interface Shown {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: { readonly attempt?: number; readonly text?: string; readonly missed?: number; readonly state?: TaskView['state'] };
}

const openStream = async (world: World, task: string, headers: Record<string, string> = {}) => {
  const comments: string[] = [];
  const response = await world.app.request(new Request(`http://localhost/api/v1/tasks/${task}/stream`, { headers }));
  const reader = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ onComment: (comment) => comments.push(comment) }))
    .getReader();
  const read = async (count: number): Promise<Shown[]> => {
    const shown: Shown[] = [];
    while (reader !== undefined && shown.length < count) {
      const { done, value } = await reader.read();
      if (done) break;
      shown.push({ id: value.id, event: value.event, data: JSON.parse(value.data) as Shown['data'] });
    }
    return shown;
  };
  return { response, comments, next: read, rest: () => read(Number.POSITIVE_INFINITY), cancel: () => reader?.cancel() };
};

const words = (shown: readonly Shown[]): string[] =>
  shown.map(({ event, data }) => (event === 'text' ? data.text! : event === 'gap' ? `(${data.missed} missing)` : `[${event}]`));
const failed = { attempt: 1, error: { code: 'x', message: 'x', retryable: false } };
const completed = (attempt: number) => ({ attempt, provenance_id: 'x', execution_time_ms: 1 });

describe("a task's text", () => {
  test('is given as it comes, and the stream ends with the task', async () => {
    const { world, task, view, say, followed } = await open();
    const stream = await openStream(world, task);
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    const first = stream.next(1);
    await until(() => followed.now === 1 || undefined);
    say(1, 0, 'def ');
    expect(await first).toEqual([{ id: `1-${SEQS_PER_RUN}`, event: 'text', data: { attempt: 1, seq: SEQS_PER_RUN, text: 'def ' } }]);
    const second = stream.next(1);
    say(1, 1, 'add');
    expect(words(await second)).toEqual(['add']);
    const rest = stream.rest();
    await until(() => (stream.comments.length > 0 ? true : undefined));
    say(1, 2, undefined);
    await world.say(view, 'dats.task.completed', completed(1));
    const last = await rest;
    expect(words(last)).toEqual(['[end]', '[final]']);
    expect(last.at(-1)).toEqual({ id: 'final', event: 'final', data: { state: 'completed' } });
    await until(() => followed.now === 0 || undefined);
  });

  test('of an attempt that failed and of the next one are told apart', async () => {
    const { world, task, view, say } = await open();
    say(1, 0, 'wrong', undefined);
    const stream = await openStream(world, task);
    expect(words(await stream.next(2))).toEqual(['wrong', '[end]']);
    say(2, 0, 'right', undefined);
    await world.say(view, 'dats.task.completed', completed(2));
    const rest = await stream.rest();
    expect(words(rest)).toEqual(['right', '[end]', '[final]']);
    expect(rest[0]?.data.attempt).toBe(2);
  });

  test('that is said anew within an attempt has no gap before it', async () => {
    const { world, task, say } = await open();
    say(1, 0, 'half', undefined);
    world.live.publish(task, { attempt: 1, seq: 2 * SEQS_PER_RUN, text: 'whole' });
    const stream = await openStream(world, task);
    expect(words(await stream.next(3))).toEqual(['half', '[end]', 'whole']);
    await stream.cancel();
  });

  test('with a hole says so, also where its beginning is missing', async () => {
    const { world, task, say } = await open();
    say(1, 2, 'c');
    say(1, 5, 'f', 'g');
    const stream = await openStream(world, task);
    expect(words(await stream.next(5))).toEqual(['(2 missing)', 'c', '(2 missing)', 'f', 'g']);
    await stream.cancel();
  });

  test('of a task that is over is replayed, and then the stream ends at once', async () => {
    const { world, task, view, say } = await open();
    await world.say(view, 'dats.task.ready', { attempt: 1, tier: 'small', lane: 'small' } as never);
    say(1, 0, 'all', undefined);
    await world.say(view, 'dats.task.failed', failed);
    expect(words(await (await openStream(world, task)).rest())).toEqual(['all', '[end]', '[final]']);
  });

  test('that was forgotten by the time the task is over, or whose end was lost, does not keep the stream open', async () => {
    const { world, task, view } = await open({}, 5);
    await world.say(view, 'dats.task.cancelled', { reason: 'r', by: 'b' });
    expect(words(await (await openStream(world, task)).rest())).toEqual(['[final]']);
    const other = await open({}, 5);
    const stream = await openStream(other.world, other.task);
    other.say(1, 0, 'cut');
    expect(words(await stream.next(1))).toEqual(['cut']);
    await other.world.say(other.view, 'dats.task.failed', failed);
    expect(words(await stream.rest())).toEqual(['[final]']);
  });
});

describe('who comes back', () => {
  test('gets what is after the last event it has', async () => {
    const { world, task, view, say } = await open();
    say(1, 0, 'a', 'b', 'c');
    const header = { 'last-event-id': `1-${SEQS_PER_RUN + 1}` };
    const stream = await openStream(world, task, header);
    expect(words(await stream.next(1))).toEqual(['c']);
    await stream.cancel();
    say(1, 4, 'e', undefined);
    await world.say(view, 'dats.task.completed', completed(1));
    expect(words(await (await openStream(world, task, header)).rest())).toEqual(['c', '(1 missing)', 'e', '[end]', '[final]']);
  });

  test('with everything is told to stop; with rubbish, or to a task that is not there, is refused', async () => {
    const { world, task } = await open();
    const status = async (id: string, last: string) => (await openStream(world, id, { 'last-event-id': last })).response.status;
    expect(await status(task, 'final')).toBe(204);
    expect(await status(task, 'p0-1')).toBe(400);
    expect(await status('nobody', '1-1')).toBe(404);
    expect(await status('nobody', 'final')).toBe(404);
    expect((await world.app.request(`/api/v1/tasks/${task}/stream?lastEventId=x`)).status).toBe(400);
  });
});

describe('a reader', () => {
  const streams = async (world: World): Promise<number> =>
    ((await (await world.app.request('/health')).json()) as { streams: { open: number } }).streams.open;

  test('that goes away leaves nothing behind, whether it waited or not', async () => {
    const { world, task, say, followed } = await open();
    const waiting = await openStream(world, task);
    const next = waiting.next(1);
    const busy = await openStream(world, task);
    say(1, 0, 'a', 'b', 'c');
    await next;
    await busy.next(1);
    expect(followed.now).toBe(2);
    expect(await streams(world)).toBe(2);
    await Promise.all([waiting.cancel(), busy.cancel()]);
    await until(() => followed.now === 0 || undefined);
    await until(async () => (await streams(world)) === 0 || undefined);
  });

  test('that is slow gets all the text that waits for it, although the task is over', async () => {
    const { world, task, view, say } = await open();
    const stream = await openStream(world, task);
    say(1, 0, 'a');
    expect(words(await stream.next(1))).toEqual(['a']);
    const many = Array.from({ length: 300 }, (_, i) => `${i} `);
    say(1, 1, ...many, undefined);
    await world.say(view, 'dats.task.completed', completed(1));
    expect(words(await stream.rest())).toEqual([...many, '[end]', '[final]']);
  });

  test('sees the stream end when the gateway closes', async () => {
    const { world, task, followed } = await open();
    const stream = await openStream(world, task);
    const rest = stream.rest();
    await until(() => followed.now === 1 || undefined);
    world.app.close();
    expect(await rest).toEqual([]);
    expect(followed.now).toBe(0);
  });
});
