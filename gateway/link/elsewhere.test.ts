// What users ask at a node of a project that another node decides.
import { afterEach, describe, expect, it } from 'vitest';
import { openExchange } from '../../models/index.js';
import { HOMES_GROUP, homesIn, MOVED } from '../../processors/link/index.js';
import { LIFECYCLE, MOVES_KNOWN, newId, OUTBOX, type Problem, partitionOf, serversSchema } from '../../schemas/index.js';
import { openWorld, recordsOf, type World } from '../testing/world.js';

const CORE_URL = 'http://core.test:8080';
let world: World;
afterEach(() => world.close());

const open = async (id: string): Promise<World> => {
  const config = {
    version: 1,
    node: { id },
    models: [{ id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] }],
    nodes: [
      { id: 'core', url: CORE_URL },
      { id: 'edge-1', token_env: 'TOKEN' },
    ],
  };
  const nodes = {
    ...homesIn(serversSchema.parse(config)),
    tokenOf: () => undefined,
    exchange: openExchange({ newId }),
    store: async () => ({ id: 'store-id', epoch: 1 }),
  };
  world = await openWorld({ config, nodes });
  return world;
};
const outbox = async (node: string) => recordsOf(world.log, OUTBOX, partitionOf(node, world.log.partitions(OUTBOX)));
const moveTo = (home: string, moves: number) =>
  world.views.put([{ collection: MOVED, id: 'p', version: moves, doc: { project_id: 'p', home, moves } }]);
/** Whoever keeps the homes has read all that was here. */
const keptUpTo = async (): Promise<() => Promise<void>> => {
  const group = await world.log.join(HOMES_GROUP, [LIFECYCLE], async (assignment) => {
    for await (const records of assignment.records())
      await assignment.commit({ next: records.at(-1)!.offset + 1, outputs: [], states: new Map() });
  });
  return () => group.leave();
};
const problemOf = async (answer: Response): Promise<readonly [number, string, string]> => {
  const { type, detail } = (await answer.json()) as Problem;
  return [answer.status, type, detail ?? ''];
};

describe('at an edge node', () => {
  it('a task goes to the home, and whoever asks for it here is told where it is', async () => {
    await open('edge-1');
    const answer = await world.post('/api/v1/tasks', { project_id: 'p', description: 'x' });
    expect(answer.status).toBe(202);
    const { task_id, home } = (await answer.json()) as { task_id: string; home: string };
    expect(home).toBe('core');
    expect((await outbox('core')).map(({ key, headers }) => [key, headers['subject'], headers[MOVES_KNOWN]])).toEqual([
      ['core', task_id, '0'],
    ]);
    const [status, type, detail] = await problemOf(await world.app.request(`/api/v1/tasks/${task_id}`));
    expect([status, type]).toEqual([409, '/problems/decided-elsewhere']);
    expect(detail).toContain(CORE_URL);
  });

  it('a cancel of such a task goes after it', async () => {
    await open('edge-1');
    const { task_id } = (await (await world.post('/api/v1/tasks', { project_id: 'p', description: 'x' })).json()) as { task_id: string };
    const answer = await world.post(`/api/v1/tasks/${task_id}/cancel`, { reason: 'r' });
    expect(await answer.json()).toMatchObject({ outcome: 'requested', detail: expect.stringContaining(CORE_URL) });
    expect((await outbox('core')).map(({ type }) => type)).toEqual(['dats.task.created', 'dats.task.cancel.requested']);
  });

  it('a task that was here when its project left is not shown as it stood then', async () => {
    await open('edge-1');
    const task_id = await world.submit({ project_id: 'edge-1-p', description: 'x' });
    expect((await world.app.request(`/api/v1/tasks/${task_id}`)).status).toBe(200);
    await world.views.put([{ collection: MOVED, id: 'edge-1-p', version: 1, doc: { project_id: 'edge-1-p', home: 'core', moves: 1 } }]);
    expect((await world.app.request(`/api/v1/tasks/${task_id}`)).status).toBe(409);
  });

  it('the same key asks for the same event, so that the home takes it once', async () => {
    await open('edge-1');
    const body = { project_id: 'p', description: 'x' };
    await world.post('/api/v1/tasks', body, { 'idempotency-key': 'k' });
    const [first] = await outbox('core');
    await world.close();
    await open('edge-1');
    await world.post('/api/v1/tasks', body, { 'idempotency-key': 'k' });
    expect((await outbox('core'))[0]!.headers['id']).toBe(first!.headers['id']);
  });
});

describe('at the core', () => {
  it('a task that depends on one which is on its way is taken', async () => {
    await open('core');
    const first = await world.submit({ project_id: 'edge-1-p', description: 'x' });
    expect((await problemOf(await world.app.request(`/api/v1/tasks/${first}`))).slice(0, 2)).toEqual([503, '/problems/task-on-its-way']);
    await world.submit({ project_id: 'edge-1-p', description: 'y', depends_on: [first] });
    expect(await outbox('edge-1')).toHaveLength(2);
  });

  it('what is asked of a project that has moved waits for what was asked before', async () => {
    await open('core');
    await world.submit({ project_id: 'p', description: 'before' });
    await moveTo('edge-1', 1);
    const later = world.post('/api/v1/tasks', { project_id: 'p', description: 'after' });
    expect(await outbox('edge-1')).toEqual([]);
    const end = await keptUpTo();
    expect((await later).status).toBe(202);
    await end();
    expect((await outbox('edge-1')).map(({ headers }) => headers[MOVES_KNOWN])).toEqual(['1']);
  });

  it('a replay of what was decided elsewhere is refused, also when it is back', async () => {
    await open('core');
    const ask = (project_id: string) => world.post('/api/v1/replay', { project_id, changes: { max_running: 3 }, by: 'ann' });
    expect(await problemOf(await ask('edge-1-p'))).toEqual([409, '/problems/decided-elsewhere', expect.stringContaining('edge-1')]);
    await moveTo('core', 2);
    expect((await ask('p')).status).toBe(409);
  });
});
