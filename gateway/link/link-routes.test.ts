// What edge nodes ask of the core, against the real receiver: who is listened to, and what is answered.
import { Writable } from 'node:stream';
import pino from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { openExchange } from '../../models/index.js';
import { homesIn, packRecords, receiveLink, unpackRecords } from '../../processors/link/index.js';
import { IDLE_VITALS } from '../../processors/link/testing/vitals.js';
import {
  formatLinkedFrom,
  type JoinedLink,
  joinedLinkSchema,
  LIFECYCLE,
  LINK,
  LINKED_FROM,
  type LinkBatch,
  linkBatchSchema,
  linkedFromOf,
  type NodeVitals,
  newId,
  nodeListSchema,
  OUTBOX,
  problemSchema,
} from '../../schemas/index.js';
import { createApp, type GatewayApp } from '../app.js';
import { openAwayLog } from '../testing/outages.js';
import { openWorld, recordsOf, type World, type WorldOptions } from '../testing/world.js';

const TOKEN = 'token-of-edge-1';
const STORE = 'store-of-edge-1';
const ABILITIES = { version: '1', roles: 'all', models: [], slots: { small: 1 }, projects: ['edge-1'] };
const NODES = [
  { id: 'core', url: 'http://core:8080' },
  { id: 'edge-1', token_env: 'DATS_TOKEN_EDGE_1' },
  { id: 'edge-2', token_env: 'DATS_TOKEN_EDGE_2' },
];

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Core {
  readonly app: GatewayApp;
  readonly views: World['views'];
  readonly log: World['log'];
  readonly ask: (path: string, body: unknown, token?: string | null) => Promise<Response>;
  readonly join: (store?: string) => Promise<JoinedLink>;
  readonly batch: (first: number, next: number, over?: Partial<LinkBatch>) => Promise<LinkBatch>;
  readonly copied: () => Promise<readonly number[]>;
  readonly logged: () => string;
}

const openCore = async (
  self = 'core',
  options: Omit<WorldOptions, 'nodes'> & { receiving?: boolean; nodes?: typeof NODES; at?: { ms: number } } = {},
): Promise<Core> => {
  const { receiving = true, nodes = NODES, at = { ms: 1_000_000 }, ...rest } = options;
  const lines: string[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      lines.push(String(line));
      done();
    },
  });
  const config = { version: 1, node: { id: self }, log: { partitions: 1 }, nodes };
  const world = await openWorld({ config, logger: pino({ level: 'trace' }, sink), now: () => at.ms, ...rest });
  ends.push(() => world.close());
  const homes = homesIn(world.deps.config);
  // The variable of edge-2 is not set here.
  const known = {
    ...homes,
    exchange: openExchange({ newId }),
    store: async () => ({ id: 'store-of-core', epoch: 1 }),
    tokenOf: (node: string) => (node === 'edge-1' ? TOKEN : undefined),
  };
  const app = createApp({ ...world.deps, ...(nodes.length === 0 ? {} : { nodes: known }) }, { answerMs: 400, ...rest.gateway });
  ends.push(async () => app.close());
  if (receiving) {
    const run = { views: world.views, self, core: 'core', configVersion: () => 'test', now: () => at.ms };
    const membership = await world.log.join('link', [LINK], (assignment) => receiveLink(assignment, run));
    ends.push(() => membership.leave());
  }
  const ask: Core['ask'] = async (path, body, token = TOKEN) =>
    app.request(`/api/v1/link/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    });
  return {
    app,
    views: world.views,
    log: world.log,
    ask,
    join: async (store_id = STORE) => {
      const answer = await ask('join', { ...ABILITIES, node_id: 'edge-1', store_id });
      expect(answer.status, JSON.stringify(await answer.clone().json())).toBe(200);
      return joinedLinkSchema.parse(await answer.json());
    },
    batch: async (first, next, over = {}) => {
      const records = Array.from({ length: next - first }, (_, i) => ({
        offset: first + i,
        key: 'edge-1',
        headers: { id: `e${first + i}` },
        value: '{}',
      }));
      return { node_id: 'edge-1', epoch: 1, topic: LIFECYCLE, partition: 0, first, next, ...(await packRecords(records)), ...over };
    },
    copied: async () => (await recordsOf(world.log, LIFECYCLE, 0)).map(({ headers }) => linkedFromOf(headers)?.offset ?? -1),
    logged: () => lines.join(''),
  };
};

const refused = async (answer: Response): Promise<readonly unknown[]> => {
  const body = problemSchema.parse(await answer.json());
  return [answer.status, body.type];
};
const VITALS: NodeVitals = { ...IDLE_VITALS, running_work: 2 };
const beat = (over: object = {}) => ({ node_id: 'edge-1', epoch: 1, cursors: {}, backlog: 3, vitals: VITALS, ...over });

describe('a call of the link', () => {
  const bodies = async (core: Core) =>
    [
      ['join', { ...ABILITIES, node_id: 'edge-1', store_id: STORE }],
      ['batches', await core.batch(0, 2)],
      ['beats', beat()],
    ] as const;

  test('without the token of the node, with another one, or of a node that is none, is refused and changes nothing; no token is logged', async () => {
    const core = await openCore();
    for (const [path, body] of await bodies(core)) {
      for (const token of [null, '', 'wrong', TOKEN.toUpperCase(), 'x'.repeat(5_000)])
        expect([path, ...(await refused(await core.ask(path, body, token)))]).toEqual([path, 401, '/problems/node-unauthorized']);
      for (const node_id of ['edge-2', 'edge-3', 'core'])
        expect(await refused(await core.ask(path, { ...body, node_id }))).toEqual([401, '/problems/node-unauthorized']);
    }
    expect(await core.copied()).toEqual([]);
    expect(core.logged()).not.toContain(TOKEN);
  });

  test.each([
    ['an edge node', 'edge-2', NODES],
    ['the only node', 'alone', []],
  ])('at %s is refused: it is not the core', async (_what, self, nodes) => {
    const core = await openCore(self, { nodes });
    for (const [path, body] of await bodies(core)) expect(await refused(await core.ask(path, body))).toEqual([404, '/problems/no-nodes']);
  });

  test('that does not fit its schema is refused', async () => {
    const core = await openCore();
    await core.join();
    for (const over of [{ next: 0 }, { first: -1 }, { topic: 'elsewhere' }, { encoding: 'zip' }, { more: 1 }, { epoch: 0 }])
      expect((await core.ask('batches', { ...(await core.batch(0, 2)), ...over })).status).toBe(422);
  });
});

describe('a batch', () => {
  test('is taken in when it is answered; sent again, or in other pieces, it changes nothing', async () => {
    const core = await openCore();
    expect(await core.join()).toMatchObject({ core: 'core', epoch: 1, cursors: {}, missing: [] });
    const next = async (first: number, end: number) => (await core.ask('batches', await core.batch(first, end))).json();
    expect(await next(0, 3)).toEqual({ next: 3 });
    expect(await core.copied()).toEqual([0, 1, 2]);
    expect([await next(0, 3), await next(1, 2), await next(2, 5), await next(9, 12)]).toEqual([
      { next: 3 },
      { next: 3 },
      { next: 5 },
      { next: 5 },
    ]);
    expect(await core.copied()).toEqual([0, 1, 2, 3, 4]);
    expect((await core.join()).cursors).toEqual({ [`${LIFECYCLE}/0`]: 5 });
  });

  test('of several gateways at once is taken in once', async () => {
    const core = await openCore();
    await core.join();
    const batch = await core.batch(0, 4);
    const answers = await Promise.all(Array.from({ length: 5 }, async () => (await core.ask('batches', batch)).json()));
    expect(answers).toEqual(answers.map(() => ({ next: 4 })));
    expect(await core.copied()).toEqual([0, 1, 2, 3]);
  });

  test('of a node that is not known yet is to be sent again', async () => {
    const core = await openCore();
    const answer = await core.ask('batches', await core.batch(0, 2));
    expect([...(await refused(answer)), answer.headers.get('retry-after')]).toEqual([503, '/problems/link-busy', '1']);
  });

  test('that nobody takes in within the time of an answer is to be sent again, and is not lost', async () => {
    const core = await openCore('core', { receiving: false });
    expect(await refused(await core.ask('join', { ...ABILITIES, node_id: 'edge-1', store_id: STORE }))).toEqual([
      503,
      '/problems/link-busy',
    ]);
  });

  test('that is damaged is not taken, and its cursor stays', async () => {
    const core = await openCore();
    await core.join();
    expect(await refused(await core.ask('batches', await core.batch(0, 2, { records: 'bm8gZ3ppcA==' })))).toEqual([
      503,
      '/problems/link-busy',
    ]);
    expect((await core.join()).cursors).toEqual({});
    expect(await (await core.ask('batches', await core.batch(0, 2))).json()).toEqual({ next: 2 });
  });

  test('cannot be taken while the log is away', async () => {
    const log = openAwayLog();
    const core = await openCore('core', { log: log.wrap });
    await core.join();
    log.away();
    expect((await core.ask('batches', await core.batch(0, 2))).status).toBe(503);
    log.back();
    expect(await (await core.ask('batches', await core.batch(0, 2))).json()).toEqual({ next: 2 });
  });
});

describe('a store that another one took the place of', () => {
  test('is told so whatever it asks, and what it sends is not taken', async () => {
    const core = await openCore();
    await core.join();
    await core.ask('batches', await core.batch(0, 2));
    const young = await core.join('store-of-another');
    expect([young.epoch, young.cursors, young.missing]).toEqual([2, {}, [{ epoch: 1, topic: LIFECYCLE, partition: 0, records: 2 }]]);
    for (const [path, body] of [
      ['join', { ...ABILITIES, node_id: 'edge-1', store_id: STORE }],
      ['batches', await core.batch(2, 4)],
      ['beats', beat()],
    ] as const)
      expect([path, ...(await refused(await core.ask(path, body)))]).toEqual([path, 409, '/problems/node-superseded']);
    expect(await core.copied()).toEqual([0, 1]);
  });
});

describe('what lies there for a node', () => {
  test('is handed out from where it asks, without tasks whose end the core knows: a store that was made anew does not do them again', async () => {
    const core = await openCore();
    const ids: string[] = [];
    for (const description of ['a', 'b', 'c']) {
      const body = JSON.stringify({ project_id: 'edge-1', description });
      const answer = await core.app.request('/api/v1/tasks', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      expect(answer.status, await answer.clone().text()).toBe(202);
      ids.push(((await answer.json()) as { task_id: string }).task_id);
    }
    const handedOut = async (after: number) => {
      const answer = await core.app.request(`/api/v1/link/outbox?node_id=edge-1&after=${after}&wait_ms=50`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      if (answer.status === 204) return undefined;
      const batch = linkBatchSchema.parse(await answer.json());
      return { next: batch.next, tasks: (await unpackRecords(batch)).map(({ headers }) => headers.subject) };
    };
    expect(await handedOut(0)).toEqual({ next: 3, tasks: ids });
    expect(await handedOut(2)).toEqual({ next: 3, tasks: [ids[2]] });
    const doc = { task_id: ids[1], project_id: 'edge-1', status: 'completed', state: 'completed' };
    await core.views.put([{ collection: 'task', id: ids[1]!, version: 1, doc }]);
    expect(await handedOut(0)).toEqual({ next: 3, tasks: [ids[0], ids[2]] });
    expect(await handedOut(1)).toEqual({ next: 3, tasks: [ids[2]] });
    expect(await handedOut(3)).toBeUndefined();
    // The history of a project that goes there.
    const { topic, key, headers, value } = (await recordsOf(core.log, OUTBOX, 0))[1]!;
    const from = formatLinkedFrom({ node: 'core', epoch: 1, partition: 0, offset: 7 });
    await core.log.append([{ topic, key, headers: { ...headers, [LINKED_FROM]: from }, value }]);
    expect(await handedOut(3)).toEqual({ next: 4, tasks: [ids[1]] });
  });
});

describe('a beat', () => {
  test('shows a node as connected, with what it has to do, and as away when it stays away', async () => {
    const at = { ms: 1_000_000 };
    const core = await openCore('core', { at });
    const shown = async () => nodeListSchema.parse(await (await core.app.request('/api/v1/nodes')).json()).nodes;
    expect((await shown()).map(({ id, role, state }) => [id, role, state])).toEqual([
      ['core', 'core', 'here'],
      ['edge-1', 'edge', 'new'],
      ['edge-2', 'edge', 'new'],
    ]);
    await core.join();
    expect((await core.ask('beats', beat())).status).toBe(204);
    expect((await shown())[1]).toMatchObject({
      state: 'connected',
      epoch: 1,
      store_id: STORE,
      backlog: 3,
      running_work: 2,
      abilities: ABILITIES,
    });
    at.ms += 15_000;
    expect((await shown())[1]).toMatchObject({ state: 'away', seen_at: new Date(1_000_000).toISOString() });
  });

  test('of a node that believes the core to have more than it has sends it to join again', async () => {
    const core = await openCore();
    expect(await refused(await core.ask('beats', beat()))).toEqual([503, '/problems/link-busy']);
    await core.join();
    await core.ask('batches', await core.batch(0, 2));
    expect((await core.ask('beats', beat({ cursors: { [`${LIFECYCLE}/0`]: 2 } }))).status).toBe(204);
    expect(await refused(await core.ask('beats', beat({ cursors: { [`${LIFECYCLE}/0`]: 3 } })))).toEqual([503, '/problems/link-busy']);
  });
});
