// What can be said of this folder without Docker, systemd or a GPU: that its files are whole, agree with each other and are understood by DATS, and what the scripts do.
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp1Server, type Server } from 'node:http';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfiguration } from '../../nodes/index.js';
import { homesIn } from '../../processors/link/index.js';

const file = (name: string): string => new URL(name, import.meta.url).pathname;
const read = (name: string): string => readFileSync(file(name), 'utf8');
const as = (name: string, DATS_NODE_ID: string, more: Record<string, string> = {}) =>
  loadConfiguration({ path: file(name), env: { DATS_NODE_ID, ...more } });
interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly deploy?: { readonly resources: { readonly reservations: { readonly devices: readonly object[] } } };
}

describe('one machine with a core and two edge nodes', () => {
  it('is a configuration without remarks for each of them, with a folder and a port of its own', () => {
    const all = ['core', 'edge-1', 'edge-2'].map((id) => as('one-machine.yaml', id, { DATS_TOKEN_EDGE_1: 'a', DATS_TOKEN_EDGE_2: 'b' }));
    expect(all.flatMap(({ warnings }) => warnings)).toEqual([]);
    expect(all.map(({ config }) => config.gateway.port)).toEqual([8080, 8081, 8082]);
    expect(new Set(all.map(({ config }) => config.node.data_dir)).size).toBe(3);
    const homes = all.map(({ config }) => ['edge-1-docs', 'edge-2', 'website'].map(homesIn(config).homeOf));
    expect(homes).toEqual(all.map(() => ['edge-1', 'edge-2', 'core']));
  });
});

describe('a core on Kafka with two edge nodes', () => {
  it('is a configuration without remarks for each of them: the core on Kafka and Redis, the edge nodes on a log of their own', () => {
    const all = ['core', 'edge-1', 'edge-2'].map((id) => as('kafka-core.yaml', id));
    expect(all.flatMap(({ warnings }) => warnings)).toEqual([]);
    expect(all.map(({ config: { log, views } }) => [log.kind, views.kind])).toEqual([
      ['kafka', 'redis'],
      ['lmdb', 'auto'],
      ['lmdb', 'auto'],
    ]);
    expect(new Set(all.map(({ config }) => config.node.data_dir)).size).toBe(3);
    expect(all.map(({ config }) => config.gateway.port)).toEqual([8080, 8081, 8082]);
    // As the cluster that `npm run servers` is for.
    const { log, views } = loadConfiguration({ path: file('../local/cluster.yaml'), env: {} }).config;
    expect([all[0]!.config.log.kafka.brokers, all[0]!.config.views.redis.url]).toEqual([log.kafka.brokers, views.redis.url]);
  });
});

describe('the example of a GPU machine', () => {
  it('is a configuration without remarks, whose models are this node alone to reach', () => {
    const { config, warnings } = as('node.yaml', 'gpu-1');
    expect(warnings).toEqual([]);
    expect(config.models.map(({ node }) => node)).toEqual(config.models.map(() => 'gpu-1'));
    expect(config.nodes.find(({ url }) => url !== undefined)!.url).toMatch(/^https:/);
    expect(config.slots).toMatchObject({ small: 4, large: 1 });
    expect(config.gateway.host).toBe('127.0.0.1');
  });

  it('has the variables that its env file has', () => {
    const names = [...read('edge.env.example').matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name);
    expect(names).toEqual(['DATS_NODE_ID', as('node.yaml', 'gpu-1').config.nodes[1]!.token_env]);
  });
});

describe('the compose file', () => {
  const { services, volumes } = parse(read('compose.yaml').replace(/\$\{[A-Z0-9_]+:-([^}]*)\}/g, '$1'), { merge: true }) as {
    services: Record<'dats' | 'ollama', Service>;
    volumes: object;
  };

  it('is a node and Ollama beside it, with the GPUs reserved for both, and nothing that is open to others', () => {
    const devices = Object.values(services).map(({ deploy }) => deploy!.resources.reservations.devices[0]);
    expect(devices).toEqual([0, 1].map(() => ({ driver: 'nvidia', count: 'all', capabilities: ['gpu', 'utility'] })));
    expect(Object.values(services).flatMap(({ ports = [] }) => ports)).toEqual(['127.0.0.1:8080:8080']);
    expect(services.dats.command?.slice(0, 2)).toEqual(['node', 'start']);
    expect(services.dats.security_opt).toEqual(['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined']);
    const named = Object.values(services).flatMap(({ volumes: used = [] }) => used.map((volume) => volume.split(':')[0]!));
    expect(named.filter((name) => !name.startsWith('.'))).toEqual(Object.keys(volumes));
    for (const name of named.filter((one) => one.startsWith('.'))) expect(existsSync(file(name)), name).toBe(true);
  });

  it('gives the node settings that it understands: its Ollama is the one beside it', () => {
    const { config, warnings } = as('node.yaml', 'gpu-1', { ...services.dats.environment });
    expect(warnings).toEqual([]);
    expect(config.models.map(({ base_url }) => base_url)).toEqual(config.models.map(() => 'http://ollama:11434'));
    expect(config.node.data_dir).toBe('/var/lib/dats');
  });
});

describe('the service', () => {
  const unit = read('systemd/dats-edge.service');

  it('starts what there is, restarts it, and gives it the time to hand work back', () => {
    expect(unit).toMatch(/^ExecStart=.*\/opt\/dats\/dist\/cli\/main\.js node start --config \/opt\/dats-edge\/node\.yaml$/m);
    expect(unit).toMatch(/^Restart=always$/m);
    expect(unit).toMatch(/^EnvironmentFile=\/opt\/dats-edge\/edge\.env$/m);
  });

  const verifies = existsSync('/usr/bin/systemd-analyze');
  it.skipIf(!verifies)('is a unit that systemd takes without a remark', () => {
    const dir = mkdtempSync(join(tmpdir(), 'dats-unit-'));
    try {
      // The user is made at the installation, and Ollama's service by its own.
      writeFileSync(join(dir, 'dats-edge.service'), unit.replace(/^(User|Group)=.*$/gm, '').replace(' ollama.service', ''));
      const env = { ...process.env, SYSTEMD_LOG_LEVEL: 'warning' };
      const said = execFileSync('sh', ['-c', `systemd-analyze verify ${join(dir, 'dats-edge.service')} 2>&1 || true`], {
        encoding: 'utf8',
        env,
      });
      expect(said.split('\n').filter((line) => line.includes('dats-edge'))).toEqual([]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('the scripts', () => {
  let dir: string;
  let server: Http2Server;
  /** What speaks HTTP/1.1 alone. */
  let old: Server;
  let status: number;
  let authorization: string | undefined;
  const dats = `${process.execPath} ${new URL('../../dist/cli/main.js', import.meta.url).pathname}`;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dats-edge-'));
    for (const name of ['join.sh', 'upgrade.sh']) copyFileSync(file(name), join(dir, name));
    status = 200;
    server = createServer((request, response) => {
      authorization = request.headers.authorization;
      const problem = { 401: 'node-unauthorized', 404: 'not-found' }[status];
      response.writeHead(status, { 'content-type': 'application/json' }).end(`{"missing": [], "type": "/problems/${problem}"}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    old = createHttp1Server((_request, response) => response.end('{}'));
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await Promise.all([server, old].map((one) => new Promise((resolve) => one.close(resolve))));
    rmSync(dir, { recursive: true, force: true });
  });

  const configure = (
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token = 'a-token-that-is-long',
    mode = 0o600,
  ): void => {
    writeFileSync(join(dir, 'node.yaml'), read('node.yaml').replace('https://dats.example.org', url));
    writeFileSync(join(dir, 'edge.env'), `DATS_NODE_ID=gpu-1\nDATS_TOKEN_GPU_1=${token}\n`);
    chmodSync(join(dir, 'edge.env'), mode);
  };
  const run = (script: string, args: readonly string[], env: Record<string, string> = {}) =>
    new Promise<{ code: number; said: string }>((resolve) => {
      execFile(join(dir, script), args, { env: { PATH: process.env.PATH!, DATS: dats, ...env } }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), said: out + err }),
      );
    });

  it('are shell that is right', () => {
    for (const name of ['join.sh', 'upgrade.sh']) execFileSync('sh', ['-n', file(name)]);
  });

  const isBuilt = existsSync(new URL('../../dist/cli/commands/node-check.js', import.meta.url));
  describe.skipIf(!isBuilt)('join.sh', () => {
    it('finds everything right, and shows the token to the core alone', async () => {
      configure();
      const { code, said } = await run('join.sh', ['--check']);
      expect([code, said]).toEqual([0, expect.stringContaining('ok  the core knows node gpu-1 and its token')]);
      expect(authorization).toBe('Bearer a-token-that-is-long');
      expect(said).not.toContain('a-token-that-is-long');
    });

    it.each([
      ['an env file that others may read', () => configure(undefined, undefined, 0o644), 'chmod 600'],
      ['no env file', () => undefined, 'copy edge.env.example'],
      ['a token that is too short', () => configure(undefined, 'short'), 'shorter than 16 characters'],
      ['a line in the clear', () => configure('http://dats.example.org'), 'put it behind TLS'],
      ['a core that is not there', () => configure('http://127.0.0.1:9'), 'nobody answers'],
      [
        'a proxy that speaks no HTTP/2',
        () => configure(`http://127.0.0.1:${(old.address() as AddressInfo).port}`),
        'does not speak HTTP/2',
      ],
      [
        'another token at the core',
        () => {
          status = 401;
          configure();
        },
        'does not recognise node gpu-1',
      ],
      [
        'something else at the address',
        () => {
          status = 404;
          configure();
        },
        'is not the core of several nodes',
      ],
    ])('stops at %s, and says what to do', async (_what, prepare, says) => {
      prepare();
      const { code, said } = await run('join.sh', ['--check']);
      expect([code, said]).toEqual([1, expect.stringContaining(says)]);
    });
  });

  it('upgrade.sh drains, stops, exchanges, starts and opens again, in this order, and starts it again where the exchange fails', async () => {
    configure();
    mkdirSync(join(dir, 'bin'));
    const log = join(dir, 'calls');
    writeFileSync(join(dir, 'bin', 'dats'), `#!/bin/sh\necho "dats $*" >> ${log}\n`);
    chmodSync(join(dir, 'bin', 'dats'), 0o755);
    const steps = [
      'dats node drain gpu-1 --wait --reason upgrade',
      'stop',
      'exchanged',
      'start',
      'dats health',
      'dats node uncordon gpu-1 --reason upgraded',
      '',
    ];
    writeFileSync(join(dir, 'stop.sh'), `echo stop >> ${log}\n`);
    writeFileSync(join(dir, 'start.sh'), `echo start >> ${log}\n`);
    const env = { DATS: join(dir, 'bin', 'dats'), DATS_STOP: `sh ${join(dir, 'stop.sh')}`, DATS_START: `sh ${join(dir, 'start.sh')}` };
    expect((await run('upgrade.sh', [`echo exchanged >> ${log}`], env)).code).toBe(0);
    expect(readFileSync(log, 'utf8').split('\n')).toEqual(steps);
    rmSync(log);
    expect((await run('upgrade.sh', [`echo exchanged >> ${log}; exit 7`], env)).code).toBe(7);
    expect(readFileSync(log, 'utf8').split('\n')).toEqual(steps);
  });
});
