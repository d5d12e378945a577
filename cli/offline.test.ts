// Where no server answers: which folder is opened, with what, and when nothing is.
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunningNode } from '../nodes/index.js';
import { aPlan, aRollback, aVersion, recoveryServer } from './commands/testing/recovery-server.js';
import type { NodeRequest } from './node.js';
import { runCli } from './program.js';
import { answerJson, type Handler, type KeptIo, keepIo, openTestServer, type TestServer } from './testing.js';

let dir: string;
let closedPort: number;
let server: TestServer;
let started: NodeRequest[];
let stopped: number;
let handler: Handler;
let failed: Promise<unknown>;
beforeEach(async () => {
  failed = new Promise(() => {});
  dir = mkdtempSync(join(tmpdir(), 'dats-offline-'));
  started = [];
  stopped = 0;
  handler = (_request, response) =>
    answerJson(response, 200, { columns: [{ name: 'n', type: 'UInt8' }], rows: [[1]], row_count: 1, elapsed_ms: 1, rows_read: 1 });
  server = await openTestServer((request, response, body) => handler(request, response, body));
  // A port on which nobody listens any more.
  const gone = await openTestServer(() => {});
  closedPort = Number(new URL(gone.url).port);
  await gone.close();
  writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { port: ${closedPort} }\n`);
});
afterEach(async () => {
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

const dats = async (argv: readonly string[], options: Partial<KeptIo> = {}) => {
  const io = keepIo({ cwd: dir, ...options });
  const loadStartNode = async () => async (request: NodeRequest) => {
    started.push(request);
    // As a log does that is opened.
    const file = join(request.configuration.config.node.data_dir, 'log', 'data.mdb');
    const now = new Date();
    utimesSync(file, now, now);
    const node: Pick<RunningNode, 'stop' | 'url' | 'failed'> = { url: server.url, failed, stop: async () => void stopped++ };
    return node as RunningNode;
  };
  return { code: await runCli(argv, io, { loadStartNode, sleep: async (_ms, signal) => signal?.throwIfAborted() }), ...io.printed };
};

/** A data folder whose log was written so long ago. */
const folder = (name: string, minutesAgo: number, history = true): void => {
  const log = join(dir, name, 'log');
  mkdirSync(log, { recursive: true });
  if (history) mkdirSync(join(dir, name, 'clickhouse'));
  writeFileSync(join(log, 'data.mdb'), '');
  const at = Date.now() / 1_000 - minutesAgo * 60;
  utimesSync(join(log, 'data.mdb'), at, at);
};
const opened = (): (string | undefined)[] => started.map(({ configuration }) => configuration.config.node.data_dir.slice(dir.length + 1));

describe('where nobody listens at the configured address', () => {
  it('the data folder is opened, said and closed again', async () => {
    folder('.dats', 2);
    const { code, out, err } = await dats(['sql', 'SELECT 1']);
    expect({ code, out }).toEqual({ code: 0, out: 'N\n1\n' });
    expect(err).toBe(
      `no server answers at http://127.0.0.1:${closedPort}: opened ./.dats, last written 2 min ago\n1 row in 1ms; 1 row looked at\n`,
    );
    expect([opened(), stopped]).toEqual([['.dats'], 1]);
    const { configuration, roles } = started[0]!;
    expect(roles).toEqual({ gateway: true, deciders: false, workers: [] });
    expect(configuration.config).toMatchObject({ gateway: { host: '127.0.0.1', port: 0 }, telemetry: { sample_s: 0, metrics_port: 0 } });
  });

  it('the folder of the demo is opened where that was written later, with the settings of the demo', async () => {
    folder('.dats', 9);
    folder('.dats-demo', 3);
    expect((await dats(['stats'])).err).toContain('opened ./.dats-demo, last written 3 min ago');
    expect(started[0]!.configuration.config).toMatchObject({ node: { id: 'demo' }, log: { partitions: 4 } });
  });

  it('the time it was written stays that of what is in it, however often it is looked at', async () => {
    folder('.dats', 5);
    for (let i = 0; i < 2; i++) expect((await dats(['sql', 'SELECT 1'])).err).toContain('last written 5 min ago');
  });

  it('a write of another process meanwhile counts', async () => {
    folder('.dats', 5);
    const answered = handler;
    handler = (...given) => {
      const later = Date.now() / 1_000 + 1;
      utimesSync(join(dir, '.dats/log/data.mdb'), later, later);
      answered(...given);
    };
    await dats(['sql', 'SELECT 1']);
    expect(statSync(join(dir, '.dats/log/data.mdb')).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
  });

  it('history is looked for where there is some, tasks also where there is none', async () => {
    folder('.dats', 1, false);
    folder('.dats-demo', 3);
    await dats(['sql', 'SELECT 1']);
    handler = (_request, response) => answerJson(response, 200, { tasks: [], next_cursor: null });
    expect((await dats(['list'])).code).toBe(0);
    expect(opened()).toEqual(['.dats-demo', '.dats']);
  });

  it('with --json or --quiet nothing is said of it', async () => {
    folder('.dats', 1);
    expect(await dats(['sql', 'SELECT 1', '--json'])).toEqual({ code: 0, out: '{"n":1}\n', err: '' });
    expect((await dats(['sql', 'SELECT 1', '--quiet'])).err).toBe('');
  });

  it('an error of the node is shown as one of a server, and the node is closed', async () => {
    folder('.dats', 1);
    handler = (_request, response) =>
      answerJson(response, 422, {
        type: '/problems/query-refused',
        title: 'Query refused',
        status: 422,
        detail: 'no',
        correlation_id: 'c',
        retryable: false,
      });
    expect(await dats(['sql', 'SELEC'])).toMatchObject({ code: 2, err: expect.stringContaining('dats: Query refused: no') });
    expect(stopped).toBe(1);
  });

  it('tables are made anew with the deciders, who bring what is in them', async () => {
    folder('.dats', 1, false);
    handler = (_request, response) => answerJson(response, 200, { applied: ['001_events.sql'], generation: 'g' });
    expect((await dats(['migrate'])).out).toBe('applied 001_events.sql\n');
    expect(started[0]!.roles).toEqual({ gateway: true, deciders: true, workers: [] });
  });

  it('and there is nothing to open, the exit code is 1 and what to do is said', async () => {
    folder('.dats', 1, false);
    const { code, out, err } = await dats(['sql', 'SELECT 1']);
    expect({ code, out, started }).toEqual({ code: 1, out: '', started: [] });
    expect(err).toMatch(
      /^dats: no server answers at http:\S+, and there is no history in \.\/\.dats nor in \.\/\.dats-demo; start a server .*"dats demo".*\n$/,
    );
  });

  it('a log that is not on this disk is not opened', async () => {
    writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { port: ${closedPort} }\nlog: { kind: memory }\n`);
    folder('.dats', 1);
    expect((await dats(['list'])).code).toBe(1);
    expect(started).toEqual([]);
  });

  it.each([
    ['--url', ['--url'], {}],
    ['DATS_URL', [], { DATS_URL: '' }],
  ] as const)('%s means that server and no other place', async (_name, flag, env) => {
    folder('.dats', 1);
    const url = `http://127.0.0.1:${closedPort}`;
    const { code } = await dats(['sql', 'SELECT 1', ...flag.flatMap((name) => [name, url])], {
      env: 'DATS_URL' in env ? { DATS_URL: url } : {},
    });
    expect({ code, started }).toEqual({ code: 3, started: [] });
  });
});

describe('what changes something, where nobody listens', () => {
  const plan = aPlan({ changes: [{ path: 'src/a.ts', from: aVersion('b', 'b'), to: null }] });
  const asked = (path: string) => server.requests.filter(({ url }) => url === `/api/v1/${path}`);

  it('is done in the newest folder with deciders and the workers that check; also with --no-wait it is over before the folder is closed', async () => {
    folder('.dats', 2, false);
    const rollbacks = [aRollback({ state: 'running', completed_at: null }), aRollback()];
    handler = (request, response, body) => {
      expect(stopped).toBe(0);
      recovery(request, response, body);
    };
    const recovery = recoveryServer({ plan, rollbacks });
    const { code, out, err } = await dats(['rollback', '--cascade', 'c1', '--yes', '--no-wait']);
    expect(code).toBe(0);
    expect(out).toContain('state     completed\n');
    expect(err).toMatch(
      /^no server answers at http:\S+: opened \.\/\.dats, last written 2 min ago; what is open in it goes on until this is done\n/,
    );
    expect(started.map(({ roles }) => roles)).toEqual([{ gateway: true, deciders: true, workers: ['qa', 'analysis'] }]);
    expect(asked('rollbacks/r1')).toHaveLength(2);
    expect(stopped).toBe(1);
  });

  it.each([
    ['taint', ['taint', 'a1', '--reason', 'r', '--yes', '--no-wait']],
    ['alert', ['alert', 'k', '--severity', 'high', '--task', 't', '--detail', 'd']],
    ['reject', ['reject', 't', '--reason', 'r']],
  ])('%s: the cascade is followed to its end', async (_name, argv) => {
    folder('.dats', 2, false);
    handler = recoveryServer({ begins: 'c1' });
    const { code, out } = await dats(argv);
    expect([code, out]).toEqual([0, expect.stringContaining('marked     2 tainted')]);
    expect(started[0]!.roles!.deciders).toBe(true);
  });

  it('cascade cancel: until it is cancelled', async () => {
    folder('.dats', 2, false);
    handler = recoveryServer({});
    expect((await dats(['cascade', 'cancel', 'c1'])).out).toBe('c1: completed\n');
    expect(started[0]!.roles!.workers).toEqual(['qa', 'analysis']);
  });

  it('what is submitted anew is made there too: with all lanes, and with the models of the demo in the folder of the demo', async () => {
    folder('.dats-demo', 2, false);
    const tasks = [
      [],
      [{ task_id: 't7', state: 'running', completed_at: null }],
      [{ task_id: 't7', state: 'completed', completed_at: '2026-11-21T10:00:00.000Z' }],
    ];
    const recovery = recoveryServer({ plan, rollbacks: [aRollback({ tasks_requeued: 1 })] });
    handler = (request, response, body) => {
      if (request.url!.startsWith('/api/v1/tasks?')) answerJson(response, 200, { tasks: tasks.shift(), next_cursor: null });
      else recovery(request, response, body);
    };
    const { code, err } = await dats(['rollback', '--cascade', 'c1', '--tasks', 'requeue', '--yes']);
    expect(code).toBe(0);
    expect(err).toMatch(/1 task submitted anew: .*\n0 of 1 over\n1 of 1 over\nt7 completed\n$/);
    expect(tasks).toEqual([]);
    expect(started[0]!.roles!.workers).toEqual(['small', 'medium', 'large', 'qa', 'analysis', 'replay']);
    expect(started[0]!.configuration.config.models.map(({ id }) => id)).toContain('recorded');
  });

  it('replays by models are within budgets: the ledger is kept there, and nothing else is decided', async () => {
    folder('.dats', 2, false);
    handler = (_request, response) =>
      answerJson(response, 422, { type: '/problems/x', title: 'X', status: 422, detail: 'x', correlation_id: 'c', retryable: false });
    expect((await dats(['replay', 'p', '--model', 'm', '--generate', '--max-calls', '5'])).code).toBe(1);
    expect(started.map(({ roles }) => roles)).toEqual([{ gateway: true, deciders: false, workers: ['replay'], ledger: true }]);
  });

  it('to look at it first opens the door alone', async () => {
    folder('.dats', 2, false);
    handler = recoveryServer({ plan });
    expect((await dats(['rollback', '--cascade', 'c1', '--dry-run'])).code).toBe(0);
    await dats(['taint', 'a1', '--reason', 'r', '--dry-run']);
    await dats(['cascade', 'show', 'c1']);
    expect(started.map(({ roles }) => roles)).toEqual(Array(3).fill({ gateway: true, deciders: false, workers: [] }));
  });

  it('ends with the error of the node where a part of it fails', async () => {
    folder('.dats', 2, false);
    const recovery = recoveryServer({ plan, rollbacks: [aRollback({ state: 'running', completed_at: null })] });
    let fail: (error: unknown) => void = () => undefined;
    failed = new Promise((resolve) => {
      fail = resolve;
    });
    handler = (request, response, body) => {
      if (request.url === '/api/v1/rollbacks/r1') fail(new Error('the deciders died'));
      recovery(request, response, body);
    };
    const { code, err } = await dats(['rollback', '--cascade', 'c1', '--yes', '--quiet']);
    expect({ code, err }).toEqual({ code: 1, err: 'dats: the deciders died\n' });
    expect(stopped).toBe(1);
  });
});

it('once a server was told of a change, no other place is opened', async () => {
  writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { port: ${new URL(server.url).port} }\n`);
  folder('.dats', 2, false);
  const recovery = recoveryServer({});
  handler = (request, response, body) => {
    recovery(request, response, body);
    // It answers what is shown first, and then it is gone.
    if (request.url === '/api/v1/taint') void server.close();
  };
  const { code, out } = await dats(['taint', 'a1', '--reason', 'r', '--yes']);
  expect({ code, out, started }).toEqual({ code: 3, out: '', started: [] });
});

it('where a server answers, its answer counts, also when it is an error', async () => {
  writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { port: ${new URL(server.url).port} }\n`);
  folder('.dats', 1);
  expect((await dats(['sql', 'SELECT 1'])).code).toBe(0);
  handler = (_request, response) =>
    answerJson(response, 503, {
      type: '/problems/analytics-unavailable',
      title: 'Away',
      status: 503,
      detail: 'away',
      correlation_id: 'c',
      retryable: true,
    });
  expect((await dats(['sql', 'SELECT 1'])).code).toBe(1);
  expect(started).toEqual([]);
});
