// The script with real servers. The first run on a machine downloads them.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from './index.mjs';
import { topicsOf, withTopic } from './testing/kafka-client.js';

const SCRIPT = fileURLToPath(new URL('./servers.mjs', import.meta.url));
const run = promisify(execFile);
const RUN_LIMIT_MS = 110_000;
type Environment = Record<string, string | undefined>;
interface Status {
  readonly name: string;
  readonly up: boolean;
  readonly pid: number | null;
  readonly ours: boolean;
  readonly stalePid: number | null;
}

const servers = (env: Environment, ...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...words], { env, encoding: 'utf8', timeout: RUN_LIMIT_MS });
  return { code: status, out: stdout, err: stderr };
};
const statusOf = (env: Environment, ...names: string[]) => {
  const { code, out } = servers(env, 'status', ...names, '--json');
  return { code, servers: JSON.parse(out) as Status[] };
};
const pidsOf = (env: Environment) => Object.fromEntries(statusOf(env).servers.map(({ name, pid }) => [name, pid]));

/** Settings of a set of servers of its own: an empty folder, free ports. */
const ownSet = async (): Promise<Environment & { DATS_SERVERS_DIR: string }> => ({
  ...process.env,
  DATS_SERVERS_DIR: mkdtempSync(join(tmpdir(), 'dats-servers-')),
  DATS_SERVERS_KAFKA_PORT: String(await freePort()),
  DATS_SERVERS_KAFKA_CONTROLLER_PORT: String(await freePort()),
  DATS_SERVERS_REDIS_PORT: String(await freePort()),
  DATS_SERVERS_REGISTRY_PORT: String(await freePort()),
  DATS_SERVERS_OLLAMA_PORT: String(await freePort()),
  DATS_SERVERS_LLAMA_PORT: String(await freePort()),
});
const ended = (env: Environment & { DATS_SERVERS_DIR: string }) => {
  const { code, err } = servers(env, 'down');
  rmSync(env.DATS_SERVERS_DIR, { recursive: true, force: true, maxRetries: 5 });
  expect(code, err).toBe(0);
};

describe('the servers that up means', () => {
  let env: Awaited<ReturnType<typeof ownSet>>;
  beforeAll(async () => {
    env = await ownSet();
    const { code, out, err } = servers(env, 'up');
    expect(code, err).toBe(0);
    for (const name of ['kafka', 'redis', 'registry']) expect(out).toMatch(new RegExp(`^${name} +up `, 'm'));
    expect(out).toContain('next: ');
  });
  afterAll(() => ended(env));

  it('outlive the script, answer, and say so', () => {
    const { code, servers: found } = statusOf(env);
    expect(code).toBe(0);
    expect(found.map(({ name, up, ours }) => ({ name, up, ours }))).toEqual(
      ['kafka', 'redis', 'registry'].map((name) => ({ name, up: true, ours: true })),
    );
  });

  it('are left as they are by a second up', () => {
    const before = pidsOf(env);
    const { code, out } = servers(env, 'up');
    expect(code).toBe(0);
    expect(out.match(/was running/g)).toHaveLength(3);
    expect(pidsOf(env)).toEqual(before);
  });

  it('are named by the settings for DATS, and those that do not run only where they are asked for', () => {
    expect(servers(env, 'env', 'llama').out).toContain(`DATS_MODELS_1_BASE_URL=http://127.0.0.1:${env['DATS_SERVERS_LLAMA_PORT']}/v1`);
    expect(servers(env, 'env').out.trim().split('\n')).toEqual([
      'DATS_LOG_KIND=kafka',
      `DATS_LOG_KAFKA_BROKERS=127.0.0.1:${env['DATS_SERVERS_KAFKA_PORT']}`,
      `DATS_LOG_KAFKA_REGISTRY_URL=http://127.0.0.1:${env['DATS_SERVERS_REGISTRY_PORT']}/apis/ccompat/v7`,
      'DATS_VIEWS_KIND=redis',
      `DATS_VIEWS_REDIS_URL=redis://127.0.0.1:${env['DATS_SERVERS_REDIS_PORT']}`,
    ]);
  });

  it('start with empty data when a fresh start is asked for, and only then', async () => {
    const brokers = `127.0.0.1:${env['DATS_SERVERS_KAFKA_PORT']}`;
    await withTopic(brokers, 'kept');
    expect(servers(env, 'down', 'kafka').out).toMatch(/^kafka +stopped/);
    expect(servers(env, 'up', 'kafka').code).toBe(0);
    expect(await topicsOf(brokers)).toContain('kept');
    expect(servers(env, 'up', 'kafka', '--fresh').code).toBe(0);
    expect(await topicsOf(brokers)).not.toContain('kept');
  });
});

describe('a set of servers', () => {
  let env: Awaited<ReturnType<typeof ownSet>>;
  beforeAll(async () => {
    env = await ownSet();
  });
  afterAll(() => ended(env));
  const pidFile = () => join(env.DATS_SERVERS_DIR, 'redis', 'pid.json');

  it('is down before it is started', () => {
    const { code, servers: found } = statusOf(env);
    expect(code).toBe(3);
    expect(found.map(({ up }) => up)).toEqual([false, false, false]);
    expect(servers(env, 'down').code).toBe(0);
    const settings = servers(env, 'env');
    expect(settings).toMatchObject({ code: 3, out: '', err: expect.stringContaining('none of the servers answers') });
  });

  it('notices that a server is gone though its pid file is there, and starts it again', () => {
    expect(servers(env, 'up', 'redis').code).toBe(0);
    const { pid } = JSON.parse(readFileSync(pidFile(), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    const { code, servers: found } = statusOf(env, 'redis');
    expect(code).toBe(3);
    expect(found[0]).toMatchObject({ up: false, pid: null, stalePid: pid });
    expect(servers(env, 'up', 'redis').code).toBe(0);
    expect(statusOf(env, 'redis').servers[0]?.pid).not.toBe(pid);
    expect(servers(env, 'down', 'redis').out).toMatch(/^redis +stopped/);
  });

  it('are started once by two that start them at the same moment', async () => {
    const started = await Promise.all([0, 1].map(() => run(process.execPath, [SCRIPT, 'up', 'redis'], { env, timeout: RUN_LIMIT_MS })));
    const pids = started.map(({ stdout }) => /\(pid (\d+),/.exec(stdout)?.[1]);
    expect(pids[0]).toMatch(/^\d+$/);
    expect(pids[1]).toBe(pids[0]);
    expect(servers(env, 'down', 'redis').out).toMatch(/^redis +stopped/);
  });

  it('never takes another program for its own because it has the number of its pid file', () => {
    const other = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      mkdirSync(join(env.DATS_SERVERS_DIR, 'redis'), { recursive: true });
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      writeFileSync(pidFile(), JSON.stringify({ pid: other.pid, start: '1', boot, address: 'redis://127.0.0.1:1' }));
      expect(statusOf(env, 'redis').servers[0]).toMatchObject({ up: false, pid: null, stalePid: other.pid });
      expect(servers(env, 'down', 'redis').out).toMatch(/^redis +stale/);
      expect(existsSync(pidFile())).toBe(false);
      expect([other.exitCode, other.signalCode]).toEqual([null, null]);
      expect(other.kill(0)).toBe(true);
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('tells that another program has the port, and which setting chooses another', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(Number(env['DATS_SERVERS_REDIS_PORT']), '127.0.0.1', resolve));
    try {
      const { code, err } = servers(env, 'up', 'redis');
      expect(code).toBe(1);
      expect(err).toContain(`port ${env['DATS_SERVERS_REDIS_PORT']}`);
      expect(err).toContain('DATS_SERVERS_REDIS_PORT');
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
  });

  it.each([
    ['kafka', 'java', 'default-jre-headless'],
    ['registry', 'java', 'default-jre-headless'],
    ['redis', 'redis-server', 'redis-server'],
    ['ollama', 'go', 'golang-go'],
    ['llama', 'cmake', 'cmake ninja-build g\\+\\+'],
  ])('tells what to install when %s lacks %s', (name, program, debianPackage) => {
    const { code, out, err } = servers(
      { ...env, PATH: '', JAVA_HOME: '', XDG_CACHE_HOME: join(env.DATS_SERVERS_DIR, 'cache') },
      'up',
      name,
    );
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain(`${program} is not installed`);
    expect(err).toMatch(new RegExp(`apt-get install -y .*${debianPackage}`));
    expect(err).not.toContain('    at ');
  });

  it('refuses words that it does not know, with the usage', () => {
    for (const words of [[], ['upp'], ['up', 'kafak'], ['down', '--fresh'], ['build', 'redis']]) {
      const { code, err } = servers(env, ...words);
      expect(code, words.join(' ')).toBe(2);
      expect(err).toContain('Usage: ');
    }
    expect(servers({ ...env, DATS_SERVERS_KAFKA_PORT: 'ninety' }, 'status').err).toContain('DATS_SERVERS_KAFKA_PORT=ninety is not a port');
  });
});
