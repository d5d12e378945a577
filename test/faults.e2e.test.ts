// What goes wrong around a node, and what it makes of it: models, records, disks, signals, ports, load (quality.md R4 to R9).
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { dataschemaOf, LIFECYCLE, newId, type Problem, partitionOf, type Topic, workTopic } from '../schemas/index.js';
import type { Outgoing } from '../streams/index.js';
import { openLmdbStorage } from '../streams/lmdb/index.js';
import { type Api, apiOf, isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { violationsOf } from './support/invariants.js';
import {
  endProcesses,
  freePort,
  type NodeProcess,
  ready,
  startProcess,
  type TestFolder,
  testFolder,
  tidy,
} from './support/node-process.js';
import { mountSmallDisk } from './support/tmpfs.js';
import { readWholeLog } from './support/whole-log.js';

const PARTITIONS = 4;
const FAR_MS = 30_000;
const RIGHT = { files: [{ path: 'data.json', language: 'json', content: '{"answer": 42}' }] };
const SCRIPT = {
  version: 1,
  rules: [
    ...[100, 1500, 7000].map((latency_ms) => ({ match: { task: `takes-${latency_ms}` }, answers: [{ ...RIGHT, latency_ms }] })),
    { match: {}, answers: [RIGHT] },
  ],
};
const model = (id: string, change: object = {}) => ({
  id,
  runner: 'scripted',
  script: './script.json',
  tiers: ['small', 'medium', 'large'],
  concurrency: 64,
  ...change,
});

interface Node {
  readonly api: Api;
  readonly url: string;
  readonly folder: TestFolder;
  readonly port: number;
  readonly process: NodeProcess;
  /** Starts it again after it has ended. */
  restart(): Promise<Node>;
}

const startNode = async (change: Record<string, unknown> = {}, files: Readonly<Record<string, object>> = {}): Promise<Node> => {
  const port = await freePort();
  const { gateway = {}, ...rest } = change;
  const folder = testFolder(
    {
      version: 1,
      node: { id: 'faults', data_dir: './data' },
      gateway: { port, ...(gateway as object) },
      log: { partitions: PARTITIONS },
      models: [model('recorded')],
      scheduling: { backoff_base_ms: 20, backoff_max_ms: 100 },
      ...rest,
    },
    Object.fromEntries(Object.entries({ 'script.json': SCRIPT, ...files }).map(([name, content]) => [name, JSON.stringify(content)])),
  );
  const url = `http://127.0.0.1:${port}`;
  const start = async (): Promise<Node> => {
    const process = startProcess(folder.config, [], { DATS_LOG_LEVEL: 'warn' });
    await ready(url, process);
    return { api: apiOf(url), url, folder, port, process, restart: start };
  };
  return start();
};

const ended = (api: Api, id: string, limitMs = FAR_MS) =>
  eventually(`the end of task ${id}`, limitMs, async () => {
    const view = await api.task(id);
    return isFinal(view) && view;
  });
const task = (script: string, change: object = {}) => ({ project_id: 'faults', description: `[script:${script}] do it`, ...change });
afterEach(tidy);

describe('a model', () => {
  const FAILS = {
    hang: 'model_timeout',
    garbage: 'model_garbage',
    refuse: 'model_refused',
    die_mid_stream: 'model_unreachable',
    error: 'model_error',
    overloaded: 'model_overloaded',
    reject: 'model_rejected',
  } as const;
  const kinds = Object.keys(FAILS) as (keyof typeof FAILS)[];
  const failing = (fail: string) => ({ ...RIGHT, fail, retry_after_ms: 0, chunk_chars: 8 });

  it('that fails once is asked again, and the task completes', async () => {
    const script = { version: 1, rules: kinds.map((kind) => ({ match: { task: kind }, answers: [failing(kind), RIGHT] })) };
    const models = kinds.map((kind) => model(kind, { script: './fails.json', idle_timeout_ms: 200 }));
    const { api } = await startNode({ models }, { 'fails.json': script });
    const again = kinds.filter((kind) => kind !== 'reject');
    const ids = await api.submittedAll(again.map((kind) => task(kind, { options: { model: kind } })));
    const views = await Promise.all(ids.map((id) => ended(api, id)));
    expect(views.map(({ state, attempt }, i) => [again[i], state, attempt])).toEqual(again.map((kind) => [kind, 'completed', 2]));
  });

  it('that keeps failing fails the task, with its reason', async () => {
    const script = { version: 1, rules: kinds.map((kind) => ({ match: { task: kind }, answers: [failing(kind)] })) };
    const models = kinds.map((kind) => model(kind, { script: './fails.json', idle_timeout_ms: 200 }));
    const { api } = await startNode({ models }, { 'fails.json': script });
    const ids = await api.submittedAll(kinds.map((kind) => task(kind, { options: { model: kind, max_attempts: 2 } })));
    const views = await Promise.all(ids.map((id) => ended(api, id)));
    expect(views.map(({ state, error }, i) => [kinds[i], state, error?.code])).toEqual(kinds.map((kind) => [kind, 'failed', FAILS[kind]]));
    views.forEach(({ error, attempt }, i) => {
      // What the model server calls wrong in itself is not sent again.
      const tries = kinds[i] === 'reject' ? 1 : 2;
      expect(attempt, kinds[i]).toBe(tries);
      expect(error?.message, kinds[i]).toMatch(tries === 1 ? /^after 1 attempt: / : /^after 2 attempts: /);
      expect(error?.message, kinds[i]).toContain(kinds[i]);
      expect(error?.retryable).toBe(false);
    });
  });

  it('that is there no more leaves its place to the next, and does not cost an attempt', async () => {
    const script = { version: 1, rules: [{ match: {}, answers: [{ fail: 'unreachable' }] }] };
    const models = [model('gone', { script: './gone.json', preference: 1 }), model('here', { preference: 2 })];
    const { api } = await startNode({ models }, { 'gone.json': script });
    const view = await ended(api, await api.submitted(task('any')));
    expect([view.state, view.attempt, view.model]).toEqual(['completed', 1, 'here']);
  });
});

describe('a poisoned record', () => {
  const attributes = (type: string, change: object = {}): Record<string, string> => ({
    specversion: '1.0',
    id: newId(),
    source: '/elsewhere',
    type,
    time: new Date().toISOString(),
    subject: 'poison',
    datacontenttype: 'application/json',
    dataschema: `urn:dats:${type.slice('dats.'.length)}:1`,
    projectid: 'faults',
    correlationid: newId(),
    actor: 'test',
    configversion: 'test',
    ...change,
  });
  const LIMIT_BYTES = 8 * 1024 * 1024;

  const poisonFor = (topic: Topic, type: 'dats.task.created' | 'dats.work.requested'): Readonly<Record<string, Outgoing>> => {
    const record = (headers: Readonly<Record<string, string>>, value: string | Uint8Array): Outgoing => ({
      topic,
      key: 'faults',
      headers,
      value,
    });
    return {
      not_an_event: record({}, Uint8Array.from([0, 255, 254, 1])),
      not_json: record(attributes(type), '{"task_id": '),
      bad_event: record(attributes(type), '{"task_id": 7}'),
      unknown_version: record(attributes(type, { dataschema: dataschemaOf(type).replace(/\d+$/, '99') }), '{}'),
      unknown_type: record(attributes('dats.task.exploded'), '{"task_id": "x"}'),
    };
  };

  interface Letter {
    readonly id: string;
    readonly code: string;
    readonly message: string;
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  }
  const lettersOf = async (api: Api, state: string): Promise<readonly Letter[]> =>
    (await api.ask<{ dead_letters: Letter[] }>('GET', `/api/v1/dlq?state=${state}`)).body.dead_letters;

  const TOPICS = [
    ['lifecycle', LIFECYCLE, 'dats.task.created'],
    ['work', workTopic('small'), 'dats.work.requested'],
  ] as const;

  it.each(TOPICS)(
    'as large as a record may be on the %s topic finds room in the dead letters, and the partition goes on',
    async (_, topic, type) => {
      const { api, folder } = await startNode();
      const headers = attributes(type);
      const bytes = LIMIT_BYTES - Buffer.byteLength(JSON.stringify(headers)) - 'faults'.length;
      const record = (length: number): Outgoing => ({ topic, key: 'faults', headers, value: 'x'.repeat(length) });
      const { log, close } = await openLmdbStorage({ dir: join(folder.dir, 'data', 'log'), node: 'elsewhere', partitions: PARTITIONS });
      await expect(log.append([record(LIMIT_BYTES + 1)])).rejects.toMatchObject({ code: 'record_too_large' });
      await log.append([record(bytes)]);
      await close();
      const letter = await eventually('the dead letter', FAR_MS, async () => (await lettersOf(api, 'open'))[0]);
      expect(letter).toMatchObject({ topic, code: 'not_json' });
      expect((await ended(api, await api.submitted(task('after')))).state).toBe('completed');
    },
  );

  it.each(TOPICS)('on the %s topic becomes a dead letter with its reason, and the partition goes on', async (_, topic, type) => {
    const node = await startNode();
    const { api, folder } = node;
    const list = (state: string) => lettersOf(api, state);
    expect((await ended(api, await api.submitted(task('before')))).state).toBe('completed');
    const poison = poisonFor(topic, type);
    const { log, close } = await openLmdbStorage({ dir: join(folder.dir, 'data', 'log'), node: 'elsewhere', partitions: PARTITIONS });
    const offsets: number[] = [];
    for (const record of Object.values(poison)) offsets.push((await log.append([record]))[0]!.offset);
    await close();

    expect((await ended(api, await api.submitted(task('after')))).state).toBe('completed');
    const letters = await eventually('a dead letter of each', FAR_MS, async () => {
      const all = await list('open');
      return all.length >= offsets.length && all;
    });
    const codes = Object.keys(poison);
    const seen = letters.filter((letter) => letter.topic === topic).sort((a, b) => a.offset - b.offset);
    expect(seen.map(({ offset, code, partition }) => [offset, code, partition])).toEqual(
      offsets.map((offset, i) => [offset, codes[i], partitionOf('faults', PARTITIONS)]),
    );
    for (const letter of letters) expect(letter.message.length).toBeGreaterThan(10);

    const [discarded, retried] = [seen[1]!, seen[2]!];
    expect((await api.ask('POST', `/api/v1/dlq/${discarded.id}/discard`, { by: 'tester' })).body).toMatchObject({
      state: 'discarded',
      resolved_by: 'tester',
    });
    expect((await api.ask<Problem>('POST', `/api/v1/dlq/${discarded.id}/retry`, {})).status).toBe(409);
    expect((await api.ask('POST', `/api/v1/dlq/${retried.id}/retry`, {})).body).toMatchObject({ state: 'retried' });
    // It is no better the second time: another letter, from where it was appended again.
    await eventually('the letter of the retried record', FAR_MS, async () =>
      (await list('open')).some((letter) => letter.code === 'bad_event' && letter.offset > retried.offset),
    );
    expect((await api.ask('GET', `/api/v1/dlq/${discarded.id}`)).body).toMatchObject({ value: '{"task_id": ', encoding: 'utf8' });
    expect((await ended(api, await api.submitted(task('at last')))).state).toBe('completed');
    await node.process.kill('SIGTERM');
    expect((await node.process.exited).code).toBe(0);
  });
});

describe('a full disk', () => {
  it('refuses submissions clearly, keeps everything, and goes on when there is room', async ({ skip }) => {
    const port = await freePort();
    const folder = testFolder({
      version: 1,
      gateway: { port },
      node: { data_dir: './disk' },
      log: { partitions: PARTITIONS },
      models: [{ id: 'any', runner: 'scripted', tiers: ['small', 'medium', 'large'] }],
      scheduling: { backoff_base_ms: 20 },
    });
    const disk = mountSmallDisk(join(folder.dir, 'disk'), 24 * 1024 * 1024);
    if (disk === undefined) {
      console.warn('SKIPPED: a full disk. Mounting a small file system is not permitted here; run as root to test it');
      skip();
      return;
    }
    try {
      const url = `http://127.0.0.1:${port}`;
      const node = startProcess(folder.config, [], { DATS_LOG_LEVEL: 'error' });
      await ready(url, node);
      const api = apiOf(url);
      const acknowledged = [await api.submitted(task('before'))];
      await ended(api, acknowledged[0]!);

      const ballast = join(disk.dir, 'ballast');
      const { bavail, bsize } = statfsSync(disk.dir);
      writeFileSync(ballast, Buffer.alloc((bavail - 64) * bsize));
      const refused = await eventually('a refusal', FAR_MS, async () => {
        const answer = await api.submit(task('more', { files: [{ path: 'a.txt', content: 'x'.repeat(20_000) }] }));
        if (answer.status === 202) acknowledged.push(answer.body.task_id);
        return answer.status !== 202 && answer;
      });
      expect(refused.status).toBe(507);
      expect(refused.body).toMatchObject({ type: '/problems/disk-full', retryable: true });
      expect(refused.body.detail).toMatch(/disk|room/);
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
      expect((await fetch(`${url}/health/ready`)).status).toBe(503);
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
      expect((await api.task(acknowledged[0]!)).state).toBe('completed');

      rmSync(ballast);
      const after = await eventually('an accepted task', FAR_MS, async () => {
        const answer = await api.submit(task('after'));
        return answer.status === 202 && answer.body.task_id;
      });
      acknowledged.push(after);
      const views = [];
      for (const id of acknowledged) views.push(await ended(api, id));
      expect(views.map(({ state }) => state)).toEqual(views.map(() => 'completed'));
      expect((await fetch(`${url}/health/ready`)).status).toBe(200);
      await node.kill('SIGTERM');
      expect((await node.exited).code).toBe(0);
      const { events } = await readWholeLog(disk.dir, PARTITIONS);
      const all = acknowledged.map((task_id) => ({ task_id, project_id: 'faults' }));
      expect(violationsOf(events, { partitions: PARTITIONS, maxRunning: 10, acknowledged: all, views })).toEqual([]);
    } finally {
      // Unmounted only when no process uses it, removed only when nothing is mounted in it.
      await endProcesses();
      disk.unmount();
    }
  });
});

describe('SIGTERM', () => {
  /** Accepting ends, 5 s for running work, 5 s for connections, and the stores. */
  const ENDED_WITHIN_MS = 15_000;

  it('lets running work end, hands over what takes too long, loses nothing, and exits with 0', async () => {
    const node = await startNode();
    const { api, url } = node;
    const short = await api.submittedAll(Array.from({ length: 4 }, () => task('takes-1500')));
    const long = await api.submittedAll(Array.from({ length: 2 }, () => task('takes-7000')));
    const queued = await api.submittedAll(Array.from({ length: 20 }, () => task('takes-100')));
    await eventually('running tasks', FAR_MS, async () => {
      const views = await Promise.all([...short, ...long].map((id) => api.task(id)));
      return views.every(({ state }) => state === 'running');
    });
    const stream = api.stream(`/api/v1/projects/faults/events?from=now`)[Symbol.asyncIterator]();
    const streamEnded = (async () => {
      while (!(await stream.next()).done);
    })();
    const began = performance.now();
    await node.process.kill('SIGTERM');
    expect((await node.process.exited).code, node.process.errors()).toBe(0);
    expect(performance.now() - began).toBeLessThan(ENDED_WITHIN_MS);
    await streamEnded;
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();

    const second = await node.restart();
    const views = await Promise.all([...short, ...long, ...queued].map((id) => ended(second.api, id)));
    expect(views.map(({ state, attempt }) => `${state} ${attempt}`)).toEqual(views.map(() => 'completed 1'));
    await second.process.kill('SIGTERM');
    const { events } = await readWholeLog(join(node.folder.dir, 'data'), PARTITIONS);
    const acknowledged = views.map(({ task_id }) => ({ task_id, project_id: 'faults' }));
    expect(violationsOf(events, { partitions: PARTITIONS, maxRunning: 10, acknowledged, views })).toEqual([]);
    const outputs = events.filter(({ event }) => event.type === 'dats.task.output.created' && short.includes(event.subject));
    const worker = (actor: string) => Number(actor.split(':')[1]);
    // Running work was let end by the process that was told to end, not repeated by the next.
    expect(outputs.map(({ event }) => worker(event.actor))).toEqual(short.map(() => node.process.pid));
  });
});

describe('processes that meet', () => {
  it('on one port: the second says that it is taken, and ends', async () => {
    const first = await startNode();
    const other = testFolder({ version: 1, node: { data_dir: './data' }, gateway: { port: first.port }, models: [] });
    const second = startProcess(other.config);
    const { code } = await eventually('the end of the second process', FAR_MS, () =>
      Promise.race([second.exited, Promise.resolve(undefined)]),
    );
    expect(code).not.toBe(0);
    expect(code).not.toBeNull();
    expect(second.errors()).toMatch(new RegExp(`port ${first.port}[^\\n]*(taken|in use)`));
    expect(second.errors()).not.toMatch(/^\s+at .*\(?(file|node):/m);
    expect((await fetch(`${first.url}/health/ready`)).status).toBe(200);
  });

  it('on one data folder: both gateways see a task at once, and its events', async () => {
    const first = await startNode();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const second = startProcess(first.folder.config, ['--roles', 'gateway', '--port', String(port)]);
    await ready(url, second);
    const there = apiOf(url);
    for (let i = 0; i < 20; i++) {
      const id = await first.api.submitted(task('any'));
      expect((await there.ask('GET', `/api/v1/tasks/${id}`)).status).toBe(200);
      const back = await there.submitted(task('any'));
      expect((await first.api.ask('GET', `/api/v1/tasks/${back}`)).status).toBe(200);
    }
    const watched = await first.api.submitted(task('takes-100'));
    const types: string[] = [];
    for await (const { type } of there.stream(`/api/v1/tasks/${watched}/events`)) types.push(type);
    expect(types[0]).toBe('dats.task.created');
    expect(types.at(-1)).toBe('dats.task.completed');
    const key = newId();
    const [one, two] = await Promise.all([first.api.submit(task('any'), key), there.submit(task('any'), key)]);
    expect([one.status, two.status]).toEqual([202, 202]);
    expect(one.body.task_id).toBe(two.body.task_id);
    const long = await first.api.submitted(task('takes-7000'));
    expect((await there.cancel(long)).body.outcome).toBe('cancelled');
  });
});

describe('load', () => {
  it('of 20,000 queued tasks does not delay the first task of another project by more than a second', async () => {
    const { api } = await startNode({ scheduling: { max_running_per_project: 10, projects: {} } });
    const big = 'big';
    const same = Array.from({ length: 100 }, (_, i) => `small-${i}`).filter(
      (name) => partitionOf(name, PARTITIONS) === partitionOf(big, PARTITIONS),
    );
    const other = Array.from({ length: 100 }, (_, i) => `small-${i}`).filter((name) => !same.includes(name));
    const took = async (project_id: string): Promise<number> => {
      const began = performance.now();
      const id = await api.submitted({ project_id, description: '[script:any] first' });
      const types = api.stream(`/api/v1/tasks/${id}/events`);
      let last = '';
      for await (const { type } of types) last = type;
      expect(last).toBe('dats.task.completed');
      return performance.now() - began;
    };
    const alone = Math.min(await took(same[0]!), await took(other[0]!), await took(same[1]!));
    const batch = Array.from({ length: 10_000 }, () => ({ project_id: big, description: '[script:takes-100] x' }));
    await api.submittedAll(batch);
    await api.submittedAll(batch);
    const delays: number[] = [];
    for (const project of [same[2]!, other[1]!, same[3]!, other[2]!]) delays.push((await took(project)) - alone);
    const { body } = await api.ask<{ total: number; counts: Record<string, number> }>('GET', `/api/v1/projects/${big}/status`);
    expect(body.counts['completed'] ?? 0).toBeLessThan(15_000);
    console.info(`alone ${Math.round(alone)} ms; delays behind 20,000 queued tasks: ${delays.map(Math.round).join(', ')} ms`);
    for (const delay of delays) expect(delay).toBeLessThan(1_000);
  });

  it('beyond the open tasks a project may have is answered 429 with Retry-After, and what was taken completes', async () => {
    const { api } = await startNode({ gateway: { max_open_tasks_per_project: 8 }, scheduling: { max_running_per_project: 1 } });
    const taken: string[] = [];
    const refused = await eventually('a refusal', FAR_MS, async () => {
      const answer = await api.submit(task('takes-1500'));
      if (answer.status === 202) taken.push(answer.body.task_id);
      return answer.status !== 202 && answer;
    });
    expect(taken).toHaveLength(8);
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ type: '/problems/too-many-open-tasks', retryable: true });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await api.submit({ ...task('any'), project_id: 'another' })).status).toBe(202);
    const views = await Promise.all(taken.map((id) => ended(api, id)));
    expect(views.map(({ state }) => state)).toEqual(taken.map(() => 'completed'));
    expect(
      (await eventually('room again', FAR_MS, async () => api.submit(task('any')).then((answer) => answer.status === 202 && answer)))
        .status,
    ).toBe(202);
  });
});

describe('an event stream', () => {
  it('resumed with Last-Event-ID after the node was killed and started again gets every event once', async () => {
    const node = await startNode();
    const ids = await node.api.submittedAll(Array.from({ length: 60 }, () => task('takes-100')));
    const received: string[] = [];
    let last: string | undefined;
    const open = new Set(ids);
    const listen = async (api: Api, enough: () => boolean): Promise<void> => {
      for await (const { id, event, type } of api.stream('/api/v1/projects/faults/events?from=beginning', { lastEventId: last })) {
        received.push(event.id);
        last = id;
        if (type === 'dats.task.completed') open.delete(event.subject);
        if (enough()) return;
      }
    };
    let current = node;
    for (const until of [45, 30, 15]) {
      // The connection breaks in the middle, and events go on being written before it is taken up again.
      await listen(current.api, () => open.size <= until);
      await current.process.kill('SIGKILL');
      current = await current.restart();
    }
    await listen(current.api, () => open.size === 0);
    await current.process.kill('SIGTERM');
    const { events } = await readWholeLog(join(node.folder.dir, 'data'), PARTITIONS);
    const logged = events.filter(({ topic, event }) => topic === LIFECYCLE && event.projectid === 'faults').map(({ event }) => event.id);
    expect(received).toEqual(logged.slice(0, received.length));
    expect(received.length).toBeGreaterThanOrEqual(logged.length - 1);
  });
});
