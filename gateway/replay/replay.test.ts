// Asking for replays and looking at them, over HTTP routes and a log.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type DataOf,
  type DatsEvent,
  dataschemaOf,
  derivedId,
  type EventType,
  LIFECYCLE,
  partitionOf,
  replayBodySchema,
  workTopic,
} from '../../schemas/index.js';
import { eventOf, type Log, outgoing } from '../../streams/index.js';
import { replayRoutes } from '../routes/replay.js';
import { openWorld, recordsOf, type World } from '../testing/world.js';
import { askReplay, lookAtReplay, offsetAt, replaysOf } from './index.js';
import { recordsOf as recordsFor, replayIdOf, requestOf } from './request.js';

const REQUESTER = { correlationId: 'c', traceparent: null };
let world: World;
let now: number;
beforeEach(async () => {
  now = 1_000_000;
  world = await openWorld({ now: () => now });
});
afterEach(() => world.close());

const body = (more: Record<string, unknown> = {}) =>
  replayBodySchema.parse({ project_id: 'p', changes: { max_running: 3 }, by: 'ann', ...more });
const partition = () => partitionOf('p', world.log.partitions(LIFECYCLE));
const say = <T extends EventType>(type: T, data: DataOf<T>, id: string = derivedId(type, JSON.stringify(data))) => {
  const event = {
    specversion: '1.0',
    id,
    source: '/effects/replay',
    type,
    time: '2026-11-26T00:00:00.000Z',
    subject: 'r',
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: 'p',
    correlationid: 'c',
    actor: 'w',
    configversion: 'v',
    data,
  } as unknown as DatsEvent;
  return world.log.append([outgoing(LIFECYCLE, event)]);
};

describe('a replay that is asked for', () => {
  it('is a request in the history of its project and a work item, written together', async () => {
    const { accepted } = await askReplay(world.deps, body(), REQUESTER, undefined);
    const [asked] = await world.events('p');
    expect(asked).toMatchObject({
      type: 'dats.replay.requested',
      projectid: 'p',
      actor: 'ann',
      data: { replay_id: accepted.replay_id, changes: { max_running: 3 } },
    });
    const topic = workTopic('replay');
    const [work] = (await recordsOf(world.log, topic, partitionOf(accepted.replay_id, world.log.partitions(topic)))).map((record) =>
      eventOf(record),
    );
    expect(work).toMatchObject({
      id: derivedId(accepted.replay_id, 'work'),
      type: 'dats.work.requested',
      projectid: 'p',
      causationid: asked!.id,
      data: { kind: 'replay', replay_id: accepted.replay_id, context: { created: 0 }, due: new Date(now + 86_400_000).toISOString() },
    });
  });

  it('under the same key is one, whoever asks at once; with another body it is refused', async () => {
    const all = await Promise.all([1, 2, 3].map(() => askReplay(world.deps, body(), REQUESTER, 'k')));
    expect(new Set(all.map(({ accepted }) => accepted.replay_id)).size).toBe(1);
    expect(all.map(({ replayed }) => replayed)).toEqual([false, true, true]);
    expect(await world.events('p')).toHaveLength(1);
    await expect(askReplay(world.deps, body({ changes: {} }), REQUESTER, 'k')).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });

  it('under the same key is the same, though an instant of its slice was ahead then and lies behind now', async () => {
    const slice = { from: new Date(now - 500).toISOString(), until: new Date(now + 60_000).toISOString() };
    const first = await askReplay(world.deps, body({ slice }), REQUESTER, 'k');
    expect(first.accepted.slice).toEqual({ from: 0 });
    now += 120_000;
    const again = await askReplay(world.deps, body({ slice }), REQUESTER, 'k');
    expect(again).toEqual({ ...first, replayed: true });
    const other = body({ slice: { ...slice, until: new Date(now).toISOString() } });
    await expect(askReplay(world.deps, other, REQUESTER, 'k')).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });

  it.each(['range', 'read', 'append'] as const)(
    'by another gateway as well, under the same key, between two steps (%s), counts once: its work items look where the first request stands',
    async (step) => {
      const { log } = world;
      const askOnTheSide = async (): Promise<void> => {
        const request = await requestOf(log, body(), replayIdOf(body(), 'k'), now, 'k');
        await log.append(recordsFor({ projectId: 'p', request, requester: REQUESTER, end: 0, now, configVersion: 'v' }));
      };
      let steps = 0;
      /** The other gateway asks after the first, or the second, look at where the log ends; or before the append. */
      const between = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
        const isNow = name === (step === 'append' ? 'append' : 'range') && ++steps === (step === 'read' ? 2 : 1);
        if (isNow && step === 'append') await askOnTheSide();
        const done = await run();
        if (isNow && step !== 'append') await askOnTheSide();
        return done;
      };
      const slow: Log = {
        ...log,
        partitions: (topic) => log.partitions(topic),
        read: (...given) => log.read(...given),
        get: (position) => log.get(position),
        range: (...given) => between('range', () => log.range(...given)),
        append: (records) => between('append', () => log.append(records)),
      };
      const { accepted } = await askReplay({ ...world.deps, log: slow }, body(), REQUESTER, 'k');
      const requests = await world.events('p');
      expect(requests.map(({ type }) => type)).toEqual(Array(step === 'range' ? 1 : 2).fill('dats.replay.requested'));
      const topic = workTopic('replay');
      const works = (await recordsOf(log, topic, partitionOf(accepted.replay_id, log.partitions(topic)))).map((record) => eventOf(record));
      expect(new Set(works.map(({ id }) => id)).size).toBe(1);
      expect(works.map(({ causationid }) => causationid)).toEqual(requests.map(({ id }) => id));
      for (const { data } of works) expect(data).toMatchObject({ context: { created: 0 } });
    },
  );

  it('with generation needs models that there are', async () => {
    const unknown = body({ grade: 'generation', max_calls: 1, changes: { model: 'nobody' } });
    await expect(askReplay(world.deps, unknown, REQUESTER, undefined)).rejects.toMatchObject({ code: 'validation_failed' });
    expect(await world.events('p')).toEqual([]);
  });
});

describe('looking at a replay', () => {
  it('shows how it goes on, and of two outcomes the first', async () => {
    const { accepted } = await askReplay(world.deps, body(), REQUESTER, undefined);
    const { replay_id } = accepted;
    const look = () => lookAtReplay(world.deps, 'p', replay_id);
    expect(await look()).toMatchObject({ state: 'requested', progress: null, report: null });
    await say('dats.replay.progressed', { replay_id, lane: 'baseline', done: 3, total: 9 });
    expect(await look()).toMatchObject({ state: 'running', progress: { lane: 'baseline', done: 3, total: 9 } });
    const counters = { served: 1, missed: 0, blocked: 0, diverged: 0 };
    const report = { sha256: '0'.repeat(64), bytes: 2, content: '{"a":1}' };
    const completed = { replay_id, summary: 'pass: not worse', baseline: counters, candidate: counters, tasks: 1, duration_ms: 5, report };
    await say('dats.replay.completed', { ...completed, verdict: 'pass' });
    await say('dats.replay.completed', { ...completed, verdict: 'hold' });
    expect(await look()).toMatchObject({ state: 'completed', verdict: 'pass', duration_ms: 5, report: { a: 1 } });
    expect(await replaysOf(world.log).list('p', 10)).toMatchObject([{ replay_id, state: 'completed' }]);
    expect(await replaysOf(world.log).list('other', 10)).toEqual([]);
  });

  it('that nobody asked for is not found', async () => {
    await expect(lookAtReplay(world.deps, 'p', 'x')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the routes', () => {
  const [ask, get, list] = replayRoutes;
  const call = (more: Record<string, unknown>, headers: Record<string, string> = {}) =>
    ({
      params: {},
      query: {},
      body: undefined,
      correlationId: 'c',
      trace: undefined,
      header: (name: string) => headers[name] ?? null,
      ...more,
    }) as never;
  const services = () => ({ deps: world.deps }) as never;

  it('show examples that fit', () => {
    expect(ask!.body!.schema.safeParse(ask!.body!.example).error).toBeUndefined();
    expect(ask!.success[0]!.schema!.safeParse(ask!.success[0]!.example).error).toBeUndefined();
  });

  it('take a request, tell where it is, and show it there', async () => {
    const asked = await ask!.handle(call({ body: body() }, { 'idempotency-key': '"k"' }), services());
    expect(asked.status).toBe(202);
    expect(asked.headers['idempotent-replayed']).toBeUndefined();
    const { replay_id } = JSON.parse(String(asked.body)) as { replay_id: string };
    expect(asked.headers['location']).toBe(`/api/v1/replay/${replay_id}?project_id=p`);
    const again = await ask!.handle(call({ body: body() }, { 'idempotency-key': 'k' }), services());
    expect(again.headers['idempotent-replayed']).toBe('true');
    const seen = await get!.handle(call({ params: { replay_id }, query: { project_id: 'p' } }), services());
    expect(get!.success[0]!.schema!.safeParse(JSON.parse(String(seen.body))).error).toBeUndefined();
    const listed = await list!.handle(call({ query: { project_id: 'p', limit: 5 } }), services());
    expect(JSON.parse(String(listed.body))).toMatchObject({ replays: [{ replay_id, state: 'requested', by: 'ann' }] });
  });

  it('refuse calls of models without the grade for them', () => {
    expect(replayBodySchema.safeParse({ project_id: 'p', max_calls: 3 }).success).toBe(false);
    expect(replayBodySchema.safeParse({ project_id: 'p', changes: { colour: 'red' } }).success).toBe(false);
    const prompted = replayBodySchema.safeParse({ project_id: 'p', changes: { prompt: 'be brief' } });
    expect(prompted.error!.issues).toEqual([
      expect.objectContaining({ path: ['changes', 'prompt'], message: expect.stringMatching(/without asking models/) }),
    ]);
    expect(replayBodySchema.safeParse({ project_id: 'p', grade: 'generation', changes: { prompt: 'be brief' } }).success).toBe(true);
    expect(replayBodySchema.safeParse({ project_id: 'p', slice: { from: 'yesterday' } }).success).toBe(false);
  });
});

describe('a place in time', () => {
  it('is the first offset that was appended then or later', async () => {
    const times = [10, 20, 20, 50];
    const log = {
      range: async () => ({ first: 3, end: 7 }),
      async *read(from: { offset: number }) {
        for (let offset = from.offset; offset < 7; offset++) yield [{ offset, timestamp: times[offset - 3]! }];
      },
    };
    const found = await Promise.all([5, 10, 15, 20, 21, 50, 51].map((ms) => offsetAt(log as never, partition(), ms)));
    expect(found).toEqual([3, 3, 4, 4, 6, 6, 7]);
  });
});
