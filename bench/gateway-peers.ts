// Other model gateways that run here: installed on demand into the cache, pinned, each in a process of its own before the same model server.
//
// W3. Nothing runs at installation: no scripts of packages, no compiler. W4. A peer that is not installed, or does not start, is told and left out.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killChild } from '../schemas/index.js';
import { endsWithUs } from './children.js';
import { UPSTREAM_MODEL } from './model-upstream.js';
import { freePort } from './pipeline-process.js';
import { cacheDir } from './places.js';

const INSTALL_MS = 10 * 60_000;
/** LiteLLM takes 15 s to import itself on a busy machine. */
const READY_MS = 120_000;
const LOOK_MS = 100;
const STOP_MS = 5_000;

export interface GatewayPeer {
  readonly name: string;
  readonly version: string;
  /** What it keeps, and whatever else its figure depends on. */
  readonly setting: string;
  readonly port: number;
  readonly pid: number;
  readonly headers: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

interface PeerKind {
  readonly name: string;
  readonly version: string;
  readonly setting: string;
  /** Under its folder: there when it is installed. */
  readonly program: string;
  readonly headers: (upstream: string) => Readonly<Record<string, string>>;
  readonly health: string;
  /** Of its folder. */
  install(dir: string): Promise<void>;
  command(dir: string, port: number, upstream: string): Promise<{ readonly file: string; readonly args: readonly string[] }>;
  readonly env: Readonly<Record<string, string>>;
}

const PORTKEY = '1.15.2';
const LITELLM = '1.100.5';

const run = (command: string, args: readonly string[], cwd: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = endsWithUs(spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_MS }));
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} in ${cwd} ended with ${signal ?? code}`)),
    );
  });

const KINDS: readonly PeerKind[] = [
  {
    name: 'Portkey',
    version: PORTKEY,
    setting: 'Node, keeps no record',
    program: 'node_modules/@portkey-ai/gateway/build/start-server.js',
    headers: (upstream) => ({ authorization: 'Bearer none', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': upstream }),
    health: '/',
    install: async (dir) => {
      // With a newer server package it answers every stream with 500: "immutable" headers.
      const manifest = {
        private: true,
        dependencies: { '@portkey-ai/gateway': PORTKEY },
        overrides: { '@hono/node-server': '1.13.8' },
      };
      await writeFile(join(dir, 'package.json'), JSON.stringify(manifest));
      await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], dir);
    },
    command: async (dir, port) => ({ file: process.execPath, args: [join(dir, KINDS[0]!.program), `--port=${port}`, '--headless'] }),
    env: { NODE_ENV: 'production' },
  },
  {
    name: 'LiteLLM',
    version: LITELLM,
    setting: 'Python, 1 worker, no database',
    program: 'bin/litellm',
    headers: () => ({}),
    health: '/health/liveliness',
    install: async (dir) => {
      await run('python3', ['-m', 'venv', '.'], dir);
      await run(join(dir, 'bin', 'pip'), ['install', '-q', '--only-binary', ':all:', `litellm[proxy]==${LITELLM}`], dir);
    },
    command: async (dir, port, upstream) => {
      const config = join(dir, `bench-${port}.yaml`);
      const params = { model: `openai/${UPSTREAM_MODEL}`, api_base: upstream, api_key: 'none' };
      // JSON is YAML.
      await writeFile(config, JSON.stringify({ model_list: [{ model_name: UPSTREAM_MODEL, litellm_params: params }] }));
      const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1', '--telemetry', 'False'];
      return { file: join(dir, 'bin', 'litellm'), args };
    },
    env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
  },
];

const folderOf = (kind: PeerKind): string => join(cacheDir(), 'gateway-peers', `${kind.name.toLowerCase()}-${kind.version}`);
const isInstalled = (kind: PeerKind): boolean => existsSync(join(folderOf(kind), kind.program));

/** Needs the network, npm and python3. One that cannot be installed is told. */
export const installGatewayPeers = async (say: (line: string) => void): Promise<void> => {
  for (const kind of KINDS) {
    const dir = folderOf(kind);
    try {
      await mkdir(dir, { recursive: true });
      if (!isInstalled(kind)) await kind.install(dir);
      say(`${kind.name} ${kind.version} is installed in ${dir}`);
    } catch (error) {
      say(`${kind.name} ${kind.version} could not be installed: ${(error as Error).message}`);
    }
  }
};

const ended = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

const start = async (kind: PeerKind, upstream: string): Promise<GatewayPeer> => {
  const port = await freePort();
  const dir = folderOf(kind);
  const { file, args } = await kind.command(dir, port, upstream);
  const child = endsWithUs(spawn(file, args, { cwd: dir, env: { ...process.env, ...kind.env }, stdio: 'ignore' }));
  const stop = async (): Promise<void> => {
    if (ended(child)) return;
    const gone = once(child, 'exit');
    killChild(child, 'SIGTERM');
    const timer = setTimeout(() => killChild(child, 'SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(timer);
  };
  const answers = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}${kind.health}`).then(
      ({ status }) => status < 500,
      () => false,
    );
  for (const deadline = performance.now() + READY_MS; !(await answers()); await sleep(LOOK_MS))
    if (ended(child) || performance.now() > deadline) {
      await stop();
      throw new Error(`${kind.name} did not answer on port ${port}`);
    }
  const { name, version, setting } = kind;
  return { name, version, setting, port, pid: child.pid!, headers: kind.headers(upstream), stop };
};

/** Those that are installed and start, before the model server on that port. */
export const startGatewayPeers = async (upstreamPort: number, say: (line: string) => void): Promise<readonly GatewayPeer[]> => {
  const peers: GatewayPeer[] = [];
  for (const kind of KINDS) {
    if (!isInstalled(kind)) {
      say(`${kind.name} ${kind.version} is not installed: run \`npm run bench -- P10 --install-peers\``);
      continue;
    }
    try {
      peers.push(await start(kind, `http://127.0.0.1:${upstreamPort}/v1`));
    } catch (error) {
      say(`${kind.name} could not be measured: ${(error as Error).message}`);
    }
  }
  return peers;
};
