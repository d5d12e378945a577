// What operators ask of nodes, what it means for who submits there, and how nodes are shown.
import { afterEach, describe, expect, it } from 'vitest';
import { BEATS, homesIn, PEERS, PRESENCE } from '../../processors/link/index.js';
import { IDLE_VITALS } from '../../processors/link/testing/vitals.js';
import {
  type AdmissionState,
  CONFIG,
  LINKED_TOPIC,
  NODES,
  type NodeBeat,
  type NodeView,
  OUTBOX,
  type Problem,
  partitionOf,
  type Servers,
  serversSchema,
} from '../../schemas/index.js';
import type { Nodes } from '../deps.js';
import { openWorld, recordsOf, type World } from '../testing/world.js';

const NOW = Date.parse('2026-11-27T09:00:00.000Z');
const CORE_URL = 'http://core.example:8080';
const configOf = (id: string) => ({
  version: 1,
  node: { id },
  nodes: [
    { id: 'core', url: CORE_URL },
    { id: 'edge-1', token_env: 'DATS_TOKEN_EDGE_1' },
    { id: 'edge-2', token_env: 'DATS_TOKEN_EDGE_2' },
  ],
});
const VITALS: NodeBeat['vitals'] = { ...IDLE_VITALS, cpu_ratio: 0.5, memory_total_bytes: 2, lag: { core: 0 }, running_work: 3 };

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});
const nodesOf = (config: Servers): Nodes => ({
  ...homesIn(config),
  tokenOf: () => 'secret',
  store: async () => ({ id: 'store-here', epoch: 1 }),
  exchange: undefined as never,
});
const open = async (id: string | undefined, admission: AdmissionState = 'open', more: object = {}): Promise<World> => {
  const config = id === undefined ? { version: 1 } : configOf(id);
  const parsed = serversSchema.parse(config);
  world = await openWorld({
    config,
    now: () => NOW,
    several: {
      ...(id === undefined ? {} : { nodes: nodesOf(parsed) }),
      admission: () => admission,
      vitals: async () => ({ ...VITALS, admission }),
      ...more,
    },
  });
  return world;
};
const nodes = async (): Promise<{ self: string; nodes: NodeView[] }> =>
  (await (await world!.app.request('/api/v1/nodes')).json()) as { self: string; nodes: NodeView[] };
const problemOf = async (response: Response) => (await response.json()) as Problem;
const written = async (topic: typeof NODES | typeof OUTBOX, key: string) =>
  (await recordsOf(world!.log, topic, partitionOf(key, world!.log.partitions(topic)))).map(({ type, headers, value }) => ({
    type,
    topic: headers[LINKED_TOPIC],
    data: JSON.parse(String(value)) as unknown,
  }));

describe('an operator', () => {
  it('takes the node that is asked out of work: in its own log', async () => {
    await open('edge-1');
    const answer = await world!.post('/api/v1/nodes/edge-1/drain', { by: 'ada', reason: 'a new driver' });
    expect([answer.status, await answer.json()]).toEqual([202, { node_id: 'edge-1', admission: 'draining', here: true }]);
    const data = { node_id: 'edge-1', by: 'ada', reason: 'a new driver', drain: true };
    expect(await written(NODES, 'edge-1')).toEqual([{ type: 'dats.node.cordoned', topic: undefined, data }]);
  });

  it('does so at the core for an edge node: by the outbox, for its log of nodes', async () => {
    await open('core');
    expect(await (await world!.post('/api/v1/nodes/edge-2/cordon', {})).json()).toMatchObject({ here: false, admission: 'cordoned' });
    await world!.post('/api/v1/nodes/edge-2/uncordon', { by: 'ada' });
    expect(await written(OUTBOX, 'edge-2')).toEqual([
      { type: 'dats.node.cordoned', topic: NODES, data: { node_id: 'edge-2', by: 'anonymous' } },
      { type: 'dats.node.uncordoned', topic: NODES, data: { node_id: 'edge-2', by: 'ada' } },
    ]);
    expect(await written(NODES, 'edge-2')).toEqual([]);
  });

  it('is told where to ask for another node, and that there is no such node', async () => {
    await open('edge-1');
    const elsewhere = await problemOf(await world!.post('/api/v1/nodes/edge-2/cordon', {}));
    expect([elsewhere.status, elsewhere.detail]).toEqual([409, expect.stringContaining(CORE_URL)]);
    expect((await problemOf(await world!.post('/api/v1/nodes/nobody/cordon', {}))).status).toBe(404);
  });

  it('changes settings at the core alone', async () => {
    await open('edge-1');
    const put = await world!.app.request('/api/v1/config/flags', {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': '*' },
      body: JSON.stringify({ hedging: false }),
    });
    const { status, detail, type } = await problemOf(put);
    expect([status, type.split('/').at(-1)]).toEqual([409, 'settings-at-core']);
    expect(detail).toContain(`settings are changed at the core (${CORE_URL})`);
    expect(await recordsOf(world!.log, CONFIG, 0)).toEqual([]);
  });
});

describe('a node that takes no new work', () => {
  const submit = (project_id: string) => world!.post('/api/v1/tasks', { description: 'Write a poem', project_id });

  it.each(['cordoned', 'draining', 'drained'] as const)(
    'is %s: what it would decide itself is refused for a while, also in a batch',
    async (state) => {
      await open('edge-1', state);
      const answer = await submit('edge-1-docs');
      expect(answer.headers.get('retry-after')).toBe('30');
      const { status, type } = await problemOf(answer);
      expect([status, type.split('/').at(-1)]).toEqual([503, 'node-cordoned']);
      const items = ['edge-1', 'website'].map((project_id) => ({ description: 'x', project_id }));
      const batch = (await (await world!.post('/api/v1/tasks:batch', items)).json()) as { results: { status: number }[] };
      expect(batch.results.map((one) => one.status)).toEqual([503, 202]);
    },
  );

  it('takes what another node decides all the same', async () => {
    await open('edge-1', 'cordoned');
    expect((await submit('website')).status).toBe(202);
  });

  it('takes it where it is open', async () => {
    await open('edge-1', 'open');
    expect((await submit('edge-1-docs')).status).toBe(202);
  });
});

describe('the list of nodes', () => {
  it('shows this one as it is, and each edge node as it was when it was last heard of', async () => {
    await open('core');
    const at = NOW - 60_000;
    const doc = { node_id: 'edge-1', epoch: 2, backlog: 7, vitals: { ...VITALS, admission: 'draining' }, at };
    await world!.views.put([
      {
        collection: PEERS,
        id: 'edge-1',
        version: 1,
        doc: { node_id: 'edge-1', store_id: 'store-1', epoch: 2, cursors: {}, abilities: null, at },
      },
      { collection: BEATS, id: 'edge-1', version: 1, doc },
    ]);
    const of = async (id: string) => (await nodes()).nodes.find((one) => one.id === id);
    expect(await of('core')).toMatchObject({ state: 'here', role: 'core', epoch: 1, running_work: 3, vitals: VITALS });
    expect(await of('edge-1')).toMatchObject({ state: 'away', admission: 'draining', backlog: 7, running_work: 3, epoch: 2 });
    expect(await of('edge-2')).toMatchObject({ state: 'new', vitals: null, admission: null, seen_at: null });
    await world!.views.put([{ collection: PRESENCE, id: 'edge-1', version: 1, doc: { node_id: 'edge-1', lost: true } }]);
    expect(await of('edge-1')).toMatchObject({ state: 'lost' });
    await world!.views.put([{ collection: BEATS, id: 'edge-1', version: 2, doc: { ...doc, at: NOW - 1_000 } }]);
    expect(await of('edge-1')).toMatchObject({ state: 'connected' });
    // Views that were emptied have who is lost again, but not when it was heard of.
    await world!.views.put([{ collection: PRESENCE, id: 'edge-2', version: 1, doc: { node_id: 'edge-2', lost: true } }]);
    expect(await of('edge-2')).toMatchObject({ state: 'lost', seen_at: null });
  });

  it('hears beats also when the clock of the core was set back', async () => {
    const clock = { now: NOW };
    const config = serversSchema.parse(configOf('core'));
    world = await openWorld({ config: configOf('core'), now: () => clock.now, several: { nodes: nodesOf(config) } });
    const beat = async (running_work: number): Promise<void> => {
      const body: NodeBeat = { node_id: 'edge-1', epoch: 1, cursors: {}, backlog: 0, vitals: { ...VITALS, running_work } };
      const answer = await world!.post('/api/v1/link/beats', body, { authorization: 'Bearer secret' });
      expect(answer.status).toBe(204);
    };
    await world.views.put([{ collection: PEERS, id: 'edge-1', version: 1, doc: { node_id: 'edge-1', epoch: 1, cursors: {}, at: 0 } }]);
    await beat(1);
    clock.now -= 3_600_000;
    await beat(2);
    expect((await nodes()).nodes.find(({ id }) => id === 'edge-1')).toMatchObject({ state: 'connected', running_work: 2 });
  });

  it('shows at an edge node whether its line is up, and what it has to send', async () => {
    const line = { connected: true, epoch: 3, backlog: 12 };
    await open('edge-1', 'open', { line: () => line });
    const { self, nodes: all } = await nodes();
    expect([self, all.map(({ id, state }) => `${id} ${state}`)]).toEqual(['edge-1', ['core connected', 'edge-1 here', 'edge-2 new']]);
    expect(all[1]).toMatchObject({ epoch: 3, backlog: 12 });
  });

  it('shows a node that is the only one', async () => {
    await open(undefined, 'cordoned');
    expect(await nodes()).toMatchObject({ self: 'local', nodes: [{ id: 'local', state: 'here', admission: 'cordoned', backlog: null }] });
  });
});
