// What becomes of the link when stores are restored, lost, or not the ones they seem to be, clocks are off and disks are full (quality.md R3): both sides are told,
// nothing that is there is lost, nothing is doubled.
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Recorded } from '../streams/index.js';
import { copyViolations, type Life, readLinked } from './support/copies.js';
import {
  connected,
  EDGE_PARTITIONS,
  type EdgeNode,
  type EdgeWorld,
  lineHealth,
  openEdgeWorld,
  type WorldNode,
} from './support/edge-world.js';
import { eventually } from './support/eventually.js';
import { endProcesses, tidy } from './support/node-process.js';
import { finalViewsOf } from './support/outcomes.js';
import { mountSmallDisk, type SmallDisk } from './support/tmpfs.js';

const FAR_MS = 30_000;
const QUIET = { telemetry: { sample_s: 3_600 } };

const worlds: EdgeWorld[] = [];
const open = async (options: Parameters<typeof openEdgeWorld>[0]): Promise<EdgeWorld> => {
  const world = await openEdgeWorld({ config: QUIET, retryMaxMs: 1_000, ...options });
  worlds.push(world);
  return world;
};
afterEach(async (context) => {
  for (const world of worlds.splice(0)) await world.close();
  await tidy(context);
});

/** Tasks that have ended well at the node. */
const work = async ({ api, id }: WorldNode, count: number): Promise<readonly string[]> => {
  const bodies = Array.from({ length: count }, (_, i) => ({
    project_id: i % 2 === 0 ? id : `${id}-docs`,
    description: '[script:slow] do it',
    options: { qa_profile: 'syntax' },
  }));
  const ids = await api.submittedAll(bodies);
  const views = await finalViewsOf(api, ids, FAR_MS);
  expect(views.map(({ state }) => state)).toEqual(views.map(() => 'completed'));
  return ids;
};
const shownAt = ({ api }: WorldNode, ids: readonly string[]) => finalViewsOf(api, ids, FAR_MS);
const nothingLeft = (edge: WorldNode) =>
  eventually(`nothing left to send at ${edge.id}`, FAR_MS, async () => {
    const { ok, detail } = await lineHealth(edge);
    return ok && detail?.includes(' 0 records');
  });

const recordsIn = (dataDir: string): Promise<readonly Recorded[]> => readLinked(join(dataDir, 'log'), EDGE_PARTITIONS);
const endsOf = (records: readonly Recorded[]): Record<string, number> => {
  const ends: Record<string, number> = {};
  for (const { topic, partition, offset } of records)
    ends[`${topic}/${partition}`] = Math.max(ends[`${topic}/${partition}`] ?? 0, offset + 1);
  return ends;
};
/** All nodes end in order, and the core has of the edge what its lives say. */
const judge = async (world: EdgeWorld, edge: EdgeNode, lives: (now: readonly Recorded[]) => readonly Life[]): Promise<void> => {
  await nothingLeft(edge);
  expect(await edge.end('SIGTERM')).toBe(0);
  expect(await world.core.end('SIGTERM')).toBe(0);
  expect(world.deaths).toEqual([]);
  const isHere = (project: string): boolean => project === edge.id || project.startsWith(`${edge.id}-`);
  expect(copyViolations(edge.id, lives(await recordsIn(edge.dataDir)), await recordsIn(world.core.dataDir), isHere)).toEqual([]);
};
const inOneLife = (now: readonly Recorded[]): readonly Life[] => [{ epoch: 1, records: now }];

describe('a core', () => {
  it('that is restored from an older backup gets again what it lost, and nothing twice', async () => {
    const world = await open({ edges: ['edge-1'] });
    const { core } = world;
    const [edge] = world.edges as [EdgeNode];
    const ids = [...(await work(edge, 6))];
    await shownAt(core, ids);
    expect(await core.end('SIGTERM')).toBe(0);
    const backup = core.backup();
    ids.push(...(await work(edge, 4)));
    core.start();
    await core.ready();
    ids.push(...(await work(edge, 6)));
    await shownAt(core, ids);
    await core.end('SIGKILL');
    core.restore(backup);
    core.start();
    await core.ready();
    // Nothing new is sent: the edge finds out by itself.
    await shownAt(core, ids);
    ids.push(...(await work(edge, 2)));
    await shownAt(core, ids);
    expect((await world.nodeView(edge.id)).epoch).toBe(1);
    await judge(world, edge, inOneLife);
  });

  it("shows an edge's tasks in its history once, with the edge as their node, also those of an outage", async () => {
    const world = await open({ edges: ['edge-1'], env: { core: { DATS_ANALYTICS_KIND: 'embedded' } } });
    const { core } = world;
    const [edge] = world.edges as [EdgeNode];
    const ids = [...(await work(edge, 4))];
    await edge.line.refuse();
    ids.push(...(await work(edge, 6)));
    await edge.line.pass();
    await shownAt(core, ids);
    await edge.crash();
    await edge.ready();
    await connected(edge);
    await core.crash();
    await core.ready();
    const sql = async (text: string) =>
      (await core.api.ask<{ rows: readonly (readonly unknown[])[] }>('POST', '/api/v1/query', { sql: text })).body.rows;
    const outputs = await eventually('all outputs in history', FAR_MS, async () => {
      const rows = await sql(
        "SELECT toString(task_id), node, count() FROM dats.events WHERE type = 'dats.task.output.created' GROUP BY ALL ORDER BY 1",
      );
      return rows.length >= ids.length && rows;
    });
    expect(outputs.map(([task, node, count]) => [task, node, Number(count)])).toEqual([...ids].sort().map((id) => [id, 'edge-1', 1]));
    const { length } = (await shownAt(core, ids)).filter(({ state }) => state === 'completed');
    expect(length).toBe(ids.length);
    const counted = await sql("SELECT count(), uniqExact(id) FROM dats.events WHERE topic = 'dats.lifecycle'");
    await judge(world, edge, inOneLife);
    const sent = (await recordsIn(edge.dataDir)).filter(({ topic }) => topic === 'dats.lifecycle').length;
    expect(counted[0]!.map(Number)).toEqual([sent, sent]);
  });
});

describe("an edge node's store", () => {
  const MISSING = 'the core has records of this node that its store does not have';

  it('that is restored from an older backup, and written to before the line is back, goes on where both are the same', async () => {
    const world = await open({ edges: ['edge-1'] });
    const { core } = world;
    const [edge] = world.edges as [EdgeNode];
    const kept = await work(edge, 6);
    await nothingLeft(edge);
    expect(await edge.end('SIGTERM')).toBe(0);
    const backup = edge.backup();
    const from = endsOf(await recordsIn(backup));
    edge.start();
    await edge.ready();
    const lost = await work(edge, 4);
    await shownAt(core, lost);
    await nothingLeft(edge);
    await edge.end('SIGKILL');
    const before = await recordsIn(edge.dataDir);
    edge.restore(backup);
    await edge.line.refuse();
    edge.start();
    await edge.ready();
    // More than what was lost: the offsets alone do not give it away.
    const offline = await work(edge, 12);
    await edge.crash();
    await edge.ready();
    await edge.line.pass();
    await shownAt(core, [...kept, ...lost, ...offline]);
    expect((await world.nodeView(edge.id)).epoch).toBe(2);
    expect(edge.errors()).toContain(MISSING);
    await judge(world, edge, (now) => [
      { epoch: 1, records: before },
      { epoch: 2, records: now, from },
    ]);
  });

  it('that is gone begins anew; what the core has of the old one stays and is not done again, what it has no end of is', async () => {
    const world = await open({ edges: ['edge-1'] });
    const { core } = world;
    const [edge] = world.edges as [EdgeNode];
    const askAtCore = (count: number) =>
      core.api.submittedAll(Array.from({ length: count }, () => ({ project_id: edge.id, description: '[script:slow] do it' })));
    const asked = await askAtCore(3);
    const lost = [...(await work(edge, 5)), ...asked];
    await shownAt(core, lost);
    await nothingLeft(edge);
    await edge.end('SIGKILL');
    const before = await recordsIn(edge.dataDir);
    const waiting = await askAtCore(2);
    edge.wipe();
    edge.start();
    await edge.ready();
    const anew = await work(edge, 5);
    await shownAt(core, [...lost, ...waiting, ...anew]);
    for (const id of lost) expect((await edge.api.ask('GET', `/api/v1/tasks/${id}`)).status).toBe(404);
    for (const id of waiting) expect((await edge.api.ask('GET', `/api/v1/tasks/${id}`)).status).toBe(200);
    expect(await world.nodeView(edge.id)).toMatchObject({ epoch: 2, state: 'connected' });
    expect(edge.errors()).toContain(MISSING);
    await judge(world, edge, (now) => [
      { epoch: 1, records: before },
      { epoch: 2, records: now },
    ]);
  });

  it('whose id another machine has taken is refused, says so, and goes on working by itself', async () => {
    const world = await open({ edges: ['edge-1'] });
    const { core } = world;
    const [edge] = world.edges as [EdgeNode];
    const first = await work(edge, 4);
    await shownAt(core, first);
    await nothingLeft(edge);
    const twin = await world.twinOf(edge);
    twin.start();
    await twin.ready();
    await connected(twin);
    const second = await work(twin, 4);
    await shownAt(core, second);
    const refused = await eventually('that the older one is refused', FAR_MS, async () => {
      const health = await lineHealth(edge);
      return !health.ok && health;
    });
    expect(refused.detail).toMatch(/epoch 2 of node|epoch 2 is what counts here|replaced by/);
    expect(edge.errors()).toContain('node_superseded');
    const alone = await work(edge, 3);
    expect((await fetch(`${edge.api.url}/health/ready`)).status).toBe(200);
    // It is asked again and again meanwhile, and nothing of it comes in.
    await work(twin, 3);
    await nothingLeft(twin);
    for (const id of alone) expect((await core.api.ask('GET', `/api/v1/tasks/${id}`)).status).toBe(404);
    expect((await world.nodeView(edge.id)).epoch).toBe(2);
    expect([await edge.end('SIGTERM'), await twin.end('SIGTERM'), await core.end('SIGTERM')]).toEqual([0, 0, 0]);
    expect(world.deaths).toEqual([]);
  });
});

describe('an edge node', () => {
  it('whose clock is hours off is taken in like any other, and is seen when it is seen', async () => {
    const shift = (hours: number) => ({ CLOCK_SHIFT_MS: String(hours * 3_600_000) });
    const options = `--import=data:text/javascript,${encodeURIComponent(
      'const shift=Number(process.env.CLOCK_SHIFT_MS);const Real=Date;globalThis.Date=class extends Real{constructor(...a){a.length===0?super(Real.now()+shift):super(...a)}static now(){return Real.now()+shift}};',
    )}`;
    const world = await open({
      edges: ['edge-1', 'edge-2'],
      env: { 'edge-1': { ...shift(7), NODE_OPTIONS: options }, 'edge-2': { ...shift(-5), NODE_OPTIONS: options } },
    });
    const [fast, slow] = world.edges as [EdgeNode, EdgeNode];
    const began = Date.now();
    for (const [edge, hours] of [
      [fast, 7],
      [slow, -5],
    ] as const) {
      const ids = await work(edge, 4);
      await edge.line.refuse();
      const offline = await work(edge, 2);
      await edge.line.pass();
      const [view] = await shownAt(world.core, [...ids, ...offline]);
      expect(Math.abs(Date.parse(view!.created_at) - Date.now() - hours * 3_600_000)).toBeLessThan(600_000);
      await connected(edge);
      const shown = await world.nodeView(edge.id);
      expect([shown.state, Date.parse(shown.seen_at!) >= began, Date.parse(shown.seen_at!) <= Date.now()]).toEqual([
        'connected',
        true,
        true,
      ]);
    }
    await nothingLeft(slow);
    expect(await slow.end('SIGTERM')).toBe(0);
    await judge(world, fast, inOneLife);
  });

  it('whose disk is full refuses new work as ever, and the line goes on', async ({ skip }) => {
    let disk: SmallDisk | undefined;
    const world = await open({
      edges: ['edge-1'],
      before: ({ id, dataDir }) => {
        if (id === 'edge-1') disk = mountSmallDisk(dataDir, 24 * 1024 * 1024);
      },
    });
    if (disk === undefined) {
      console.warn('SKIPPED: a full disk. Mounting a small file system is not permitted here; run as root to test it');
      skip();
      return;
    }
    try {
      const [edge] = world.edges as [EdgeNode];
      const ids = [...(await work(edge, 3))];
      await shownAt(world.core, ids);
      const ballast = join(disk.dir, 'ballast');
      const { bavail, bsize } = statfsSync(disk.dir);
      writeFileSync(ballast, Buffer.alloc((bavail - 64) * bsize));
      const more = { project_id: edge.id, description: '[script:instant] more', files: [{ path: 'a.txt', content: 'x'.repeat(20_000) }] };
      const refused = await eventually('a refusal', FAR_MS, async () => {
        const answer = await edge.api.submit(more);
        if (answer.status === 202) ids.push(answer.body.task_id);
        return answer.status !== 202 && answer;
      });
      expect([refused.status, refused.body.type]).toEqual([507, '/problems/disk-full']);
      const made = edge.line.made;
      edge.line.cut('rst');
      await eventually('a new connection', FAR_MS, () => edge.line.made > made);
      await connected(edge);
      expect((await world.nodeView(edge.id)).state).toBe('connected');
      rmSync(ballast);
      await eventually('an accepted task', FAR_MS, async () => {
        const answer = await edge.api.submit(more);
        if (answer.status === 202) ids.push(answer.body.task_id);
        return answer.status === 202;
      });
      await shownAt(edge, ids);
      await shownAt(world.core, ids);
      await judge(world, edge, inOneLife);
    } finally {
      await endProcesses();
      disk.unmount();
    }
  });
});
