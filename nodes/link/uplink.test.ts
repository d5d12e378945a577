// The edge's side of the link against a core that is away, slow, silent, garbled or unwilling: each record arrives once and in order.
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { receiveLink } from '../../processors/link/index.js';
import { IDLE_VITALS } from '../../processors/link/testing/vitals.js';
import { type JoinedLink, LIFECYCLE, LINK as LINK_TOPIC, NODES, TELEMETRY, TOPICS, type Topic } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { MemoryStore, openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { type CoreStandIn, openCoreStandIn, problem } from '../testing/core-stand-in.js';
import { openingOf, openLine, openUplink, type Uplink, type UplinkOptions } from './index.js';

const NODE = 'edge-1';
const NAME = `${LIFECYCLE}/0`;
const LINK = { flush_ms: 0, batch_records: 10, bytes_per_s: 0, retry_max_ms: 100 };

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const until = async <T>(condition: () => T | undefined | false): Promise<T> => {
  for (;;) {
    const found = condition();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

const openCore = async (): Promise<CoreStandIn> => {
  const core = await openCoreStandIn();
  ends.push(() => core.close());
  return core;
};

const untilNothingIsLeft = async (uplink: Uplink): Promise<void> => {
  while ((await uplink.unsent()) !== 0) await new Promise((resolve) => setTimeout(resolve, 2));
};

/** Nothing of these tests is large, and no model is lent. */
const NO_ARTIFACTS: UplinkOptions['artifacts'] = {
  put: () => Promise.reject(new Error('no contents')),
  get: () => Promise.reject(new Error('no contents')),
};
const NO_MODELS: UplinkOptions['models'] = {
  status: async () => [],
  lend: () => {
    throw new Error('no models');
  },
  lendEmbedding: () => Promise.reject(new Error('no models')),
};

let serial = 0;
const write = (log: Log, count: number, key = 'edge-1-docs', text = '', topic: Topic = LIFECYCLE) =>
  log.append(
    Array.from({ length: count }, () => ({
      topic,
      key,
      headers: { id: `e${serial++}`, type: 'dats.task.created' },
      value: `{"text": "${text}"}`,
    })),
  );

interface Edge {
  readonly log: Log;
  readonly store: MemoryStore;
  readonly uplink: Uplink;
  readonly problems: { readonly code: string; readonly message: string }[];
  readonly missing: { readonly missing: JoinedLink['missing']; readonly epoch: number }[];
  /** As when its process ends, by whatever. */
  end(): Promise<void>;
}

const startEdge = async (
  core: CoreStandIn,
  over: Partial<UplinkOptions> & { store?: MemoryStore; answerMs?: number } = {},
): Promise<Edge> => {
  const { store = new MemoryStore(), answerMs = 2_000, ...rest } = over;
  const log = openMemoryLog({ partitions: 1, store, node: NODE });
  const problems: Edge['problems'] = [];
  const missing: { missing: JoinedLink['missing']; epoch: number }[] = [];
  const views = openMemoryViewStore();
  const uplink = openUplink({
    log,
    opening: await openingOf(log, NODE),
    line: openLine({ url: core.url, node: NODE, token: 'secret', answerMs }),
    views,
    artifacts: NO_ARTIFACTS,
    models: NO_MODELS,
    lent: new Set(),
    link: LINK,
    load: { ours: () => {}, others: () => 0 },
    node: NODE,
    abilities: () => ({ version: '1', roles: 'all', models: [], slots: {}, projects: [] }),
    vitals: async () => IDLE_VITALS,
    changed: (_known, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    beatMs: 50,
    configVersion: () => 'test',
    time: () => '2026-11-27T09:00:00.000Z',
    onProblem: (error) => void problems.push(error as Edge['problems'][number]),
    onMissing: (records, epoch) => void missing.push({ missing: records, epoch }),
    ...rest,
  });
  const receiving = { views, self: NODE, core: 'core', configVersion: () => 'test', now: () => 0 };
  const receiver = await log.join('link', [LINK_TOPIC], (assignment) => receiveLink(assignment, receiving));
  const membership = await log.join('uplink', [NODES], (assignment) => uplink.run(assignment));
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => (ended ??= Promise.all([membership.leave(), receiver.leave()]).then(() => log.close()));
  ends.push(end);
  return { log, store, uplink, problems, missing, end };
};

/** A store as a backup of that moment has it. */
const backupOf = (store: MemoryStore): MemoryStore => {
  const copy = new MemoryStore();
  for (const topic of TOPICS) copy.shard(topic, 0).records.push(...store.shard(topic, 0).records);
  const place = { topic: NODES, partition: 0 } as const;
  for (const [key, value] of store.group('uplink').claim(place).states) copy.group('uplink').claim(place).states.set(key, value);
  return copy;
};

const upTo = (to: number, from = 0): readonly number[] => Array.from({ length: to - from }, (_, i) => from + i);
const offsets = (core: CoreStandIn, epoch = 1, name = NAME): readonly number[] =>
  core.copies.filter((copy) => copy.epoch === epoch && copy.name === name).map(({ offset }) => offset);
const has = (core: CoreStandIn, count: number) => until(() => core.copies.length >= count);

describe('an edge node', () => {
  it('sends what it has and what comes, each record once and in order, and nothing that is not its own to say', async () => {
    const core = await openCore();
    const { log, uplink } = await startEdge(core);
    await write(log, 25);
    await has(core, 25);
    await log.append([{ topic: LIFECYCLE, key: 'edge-1', headers: { linkedfrom: '1/p0-4/core' }, value: '{}' }]);
    await write(log, 5);
    await write(log, 2, 'any', '', TELEMETRY);
    await has(core, 32);
    expect([offsets(core), offsets(core, 1, `${TELEMETRY}/0`)]).toEqual([[...upTo(25), ...upTo(31, 26)], upTo(2)]);
    await untilNothingIsLeft(uplink);
    expect(uplink.state()).toMatchObject({ connected: true, epoch: 1 });
    expect(core.joins).toHaveLength(1);
  });

  it('owes nothing where what it has is not its own to say', async () => {
    const core = await openCore();
    const { log, uplink } = await startEdge(core);
    await log.append(upTo(30).map(() => ({ topic: LIFECYCLE, key: 'docs', headers: { linkedfrom: '1/p0-4/core' }, value: '{}' })));
    await until(() => core.beats.length > 2 && core.beats.at(-1)!.backlog === 0);
    expect(await uplink.unsent()).toBe(0);
    expect(core.copies).toEqual([]);
  });

  it('goes on where it was after a restart, as the same store', async () => {
    const core = await openCore();
    const { log, store, end } = await startEdge(core);
    await write(log, 12);
    await has(core, 12);
    await end();
    const again = await startEdge(core, { store });
    await write(again.log, 3);
    await has(core, 15);
    expect(offsets(core)).toEqual(upTo(15));
    expect(new Set(core.joins.map(({ body }) => body.store_id)).size).toBe(1);
  });
});

describe('while the core', () => {
  it('is away, it says so and waits; when it is back, everything comes', async () => {
    const core = await openCore();
    await core.close();
    const { log, uplink, problems } = await startEdge(core);
    await write(log, 15);
    await until(() => problems.length > 0);
    expect(uplink.state()).toMatchObject({ connected: false, detail: expect.stringContaining(core.url) });
    expect(problems.map(({ code }) => code)).toEqual(['link_down']);
    await core.open();
    await has(core, 15);
    await core.close();
    await write(log, 15);
    await until(() => !uplink.state().connected);
    await core.open();
    await has(core, 30);
    expect(offsets(core)).toEqual(upTo(30));
  });

  it.each<readonly [string, Parameters<CoreStandIn['conduct']>[0], string]>([
    ['hangs', () => 'hang', 'link_down'],
    ['is something else', () => ({ status: 200, body: '<html>Please log in to this hotel</html>' }), 'link_refused'],
    ['is of another kind', () => ({ status: 200, body: '{"ok": true}' }), 'link_refused'],
    ['says nothing but a status', () => ({ status: 502, body: 'Bad Gateway' }), 'link_refused'],
    ['has no room', () => problem(507, 'disk_full'), 'disk_full'],
    ['does not know it', () => problem(401, 'node_unauthorized'), 'node_unauthorized'],
    ['is no core', () => problem(404, 'no_nodes'), 'no_nodes'],
    ['has another store under its id', () => problem(409, 'node_superseded'), 'node_superseded'],
    ['takes in nothing', (ask) => (ask === 'batches' ? problem(503, 'link_busy') : 'well'), 'link_busy'],
    ['hangs in the middle', (ask) => (ask === 'batches' ? 'hang' : 'well'), 'link_down'],
    ['takes less than it was sent', (ask) => (ask === 'batches' ? { status: 200, body: '{"next": 0}' } : 'well'), 'link_gap'],
  ])('%s, it says so, goes on trying, and sends everything once when that is over', async (_what, conduct, code) => {
    const core = await openCore();
    core.conduct(conduct);
    const { log, uplink, problems } = await startEdge(core, { answerMs: 200 });
    await write(log, 25);
    await until(() => problems.length > 0 && core.joins.length > 2);
    expect(problems[0]!.code).toBe(code);
    await until(() => uplink.state().detail !== undefined);
    expect(JSON.stringify([uplink.state(), problems])).not.toContain('secret');
    core.conduct(() => 'well');
    await has(core, 25);
    await until(() => uplink.state().connected);
    expect(offsets(core)).toEqual(upTo(25));
  });

  it('stays like that, a person is told once and not at every try', async () => {
    const core = await openCore();
    core.conduct(() => problem(401, 'node_unauthorized'));
    const { problems } = await startEdge(core);
    await until(() => core.joins.length > 4);
    expect(problems).toHaveLength(1);
  });

  it('takes a batch and the answer is lost, nothing is doubled', async () => {
    const core = await openCore();
    let batches = 0;
    core.conduct((ask) => (ask === 'batches' && batches++ % 2 === 0 ? 'taken, lost' : 'well'));
    const { log } = await startEdge(core);
    await write(log, 60);
    await has(core, 60);
    expect(offsets(core)).toEqual(upTo(60));
    // It asked again how far the core is.
    expect(core.joins.length).toBeGreaterThan(1);
  });

  it('was restored from a backup, it gets again what it lost, also while nothing new is sent', async () => {
    const core = await openCore();
    const { log } = await startEdge(core);
    await write(log, 20);
    await has(core, 20);
    core.forget(NAME, 8);
    await has(core, 20);
    expect(offsets(core)).toEqual(upTo(20));
  });

  it('is behind a line that is too slow for a batch, batches become smaller until they get through', async () => {
    const core = await openCore();
    core.conduct((_ask, bytes) => (bytes > 40_000 ? 'hang' : 'well'));
    const { log } = await startEdge(core, { answerMs: 300, link: { ...LINK, batch_records: 1_000 } });
    for (let i = 0; i < 50; i++) await write(log, 1, 'edge-1', randomBytes(3_000).toString('hex'));
    await has(core, 50);
    expect(offsets(core)).toEqual(upTo(50));
    expect(Math.max(...core.sizes)).toBeGreaterThan(40_000);
  });
});

describe('between two tries', () => {
  it.each<readonly [string, Parameters<CoreStandIn['conduct']>[0]]>([
    ['to join', () => problem(503, 'link_busy')],
    ['to send, after joins that went well', (ask) => (ask === 'join' ? 'well' : problem(503, 'link_busy'))],
  ])('%s it waits longer, and never longer than it may', async (_what, conduct) => {
    const core = await openCore();
    core.conduct(conduct);
    const { log } = await startEdge(core, { link: { ...LINK, retry_max_ms: 300 } });
    await write(log, 1);
    await until(() => core.joins.length > 12);
    const gaps = core.joins.slice(1).map(({ atMs }, i) => atMs - core.joins[i]!.atMs);
    const sum = gaps.reduce((total, gap) => total + gap, 0);
    // Each wait is drawn from up to 300 ms: twelve of them are 1,800 on average, and hardly ever under 400.
    expect(sum).toBeGreaterThan(400);
    expect(Math.max(...gaps)).toBeLessThan(300 + 1_000);
  });
});

describe('a store', () => {
  const MISSING = { epoch: 1, topic: LIFECYCLE, partition: 0 };

  it('that was made anew begins a new epoch, and is told what the core has of the one before', async () => {
    const core = await openCore();
    const first = await startEdge(core);
    await write(first.log, 12);
    await has(core, 12);
    await first.end();
    const { log, missing } = await startEdge(core);
    await write(log, 4);
    await has(core, 16);
    expect([offsets(core), offsets(core, 2)]).toEqual([upTo(12), upTo(4)]);
    expect(missing).toEqual([{ missing: [{ ...MISSING, records: 12 }], epoch: 2 }]);
  });

  it.each([
    ['at once', 0],
    ['after it wrote less than it had lost', 3],
    ['after it wrote more than it had lost', 30],
  ])('that was restored from a backup and reaches the core %s goes on where both are the same', async (_what, written) => {
    const core = await openCore();
    const first = await startEdge(core);
    await write(first.log, 12);
    await has(core, 12);
    const store = backupOf(first.store);
    await write(first.log, 8);
    await has(core, 20);
    await first.end();
    await core.close();
    const second = await startEdge(core, { store });
    await write(second.log, written);
    await until(() => second.problems.length > 0);
    await second.end();
    await core.open();
    // It was started twice before the core answered: what counts is how it was found the first time.
    const third = await startEdge(core, { store });
    await write(third.log, 2);
    await has(core, 20 + written + 2);
    expect([offsets(core), offsets(core, 2)]).toEqual([upTo(20), upTo(12 + written + 2, 12)]);
    expect(third.missing).toEqual([{ missing: [{ ...MISSING, records: 8 }], epoch: 2 }]);
    await third.end();
    const again = await startEdge(core, { store });
    await write(again.log, 2);
    await has(core, 20 + written + 4);
    expect(offsets(core, 2)).toEqual(upTo(12 + written + 4, 12));
  });

  it('that was restored and whose new life was not confirmed is not doubled', async () => {
    const core = await openCore();
    const first = await startEdge(core);
    await write(first.log, 12);
    await has(core, 12);
    const store = backupOf(first.store);
    await write(first.log, 8);
    await has(core, 20);
    await first.end();
    let joins = 0;
    core.conduct((ask) => (ask === 'join' && ++joins % 2 === 0 && joins < 6 ? 'hang' : 'well'));
    const second = await startEdge(core, { store, answerMs: 300 });
    await until(() => joins > 1);
    await second.end();
    const third = await startEdge(core, { store, answerMs: 300 });
    await write(third.log, 5);
    await has(core, 25);
    expect([offsets(core), offsets(core, 2)]).toEqual([upTo(20), upTo(17, 12)]);
  });

  it('that another process of the node had sent from meanwhile is not taken for a restored one', async () => {
    const core = await openCore();
    const store = new MemoryStore();
    const log = openMemoryLog({ partitions: 1, store, node: NODE });
    ends.push(() => log.close());
    await write(log, 5);
    const opening = await openingOf(log, NODE);
    const first = await startEdge(core, { store });
    await write(log, 7);
    await has(core, 12);
    await first.end();
    await startEdge(core, { store, opening });
    await write(log, 1);
    await has(core, 13);
    expect(offsets(core)).toEqual(upTo(13));
    expect(new Set(core.joins.map(({ body }) => body.store_id)).size).toBe(1);
  });

  it('that is older than one of the same id is refused, says so, and sends nothing', async () => {
    const core = await openCore();
    const old = await startEdge(core);
    await write(old.log, 5);
    await has(core, 5);
    const young = await startEdge(core);
    await write(young.log, 3);
    await has(core, 8);
    // It has nothing to send: its next beat is refused.
    await until(() => old.problems.length > 0);
    await write(old.log, 5);
    await until(() => core.joins.filter(({ body }) => body.store_id === core.joins[0]!.body.store_id).length > 2);
    expect(old.problems.map(({ code }) => code)).toEqual(['node_superseded']);
    expect(old.uplink.state()).toMatchObject({ connected: false, detail: expect.stringContaining('node_superseded') });
    expect([offsets(core), offsets(core, 2)]).toEqual([upTo(5), upTo(3)]);
  });
});
