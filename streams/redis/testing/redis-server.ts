// A real Redis for a test: its own process on a free port and in its own folder, which keeps nothing on disk.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killChild } from '../../../schemas/index.js';

const STARTS_WITHIN_MS = 10_000;
const LOOK_MS = 10;
const TRIES = 5;

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** One command, as with `redis-cli`; the raw reply. For what an adapter has no word for, such as FLUSHALL. */
  command(...words: readonly string[]): Promise<string>;
  /** Ends it with SIGKILL: everything in it is gone. */
  kill(): Promise<void>;
  /** On the same port again, empty. */
  start(): Promise<void>;
  /** It takes connections and answers nothing, until it is resumed. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) killChild(child, 'SIGKILL');
});

const freePort = async (): Promise<number> => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
};

const ask = (port: number, words: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: STARTS_WITHIN_MS });
    socket.setEncoding('utf8');
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error(`redis-server on port ${port} does not answer ${words[0]}`)));
    socket.once('close', () => reject(new Error(`redis-server on port ${port} closed the connection`)));
    socket.once('data', (reply) => {
      socket.destroy();
      resolve(String(reply));
    });
    const encoded = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${encoded.join('')}`);
  });

const answers = (port: number): Promise<boolean> =>
  ask(port, ['PING']).then(
    (reply) => reply.startsWith('+PONG') || reply.startsWith('-NOAUTH'),
    () => false,
  );

/** Undefined when it could not listen there. */
const launch = async (port: number, dir: string, more: readonly string[]): Promise<ChildProcess | undefined> => {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir, ...more];
  const child = spawn('redis-server', options, { stdio: 'ignore' });
  let failed: Error | undefined;
  child.once('error', (error) => {
    failed = error;
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  for (const deadline = performance.now() + STARTS_WITHIN_MS; performance.now() < deadline; await sleep(LOOK_MS)) {
    if (failed !== undefined)
      throw new Error('redis-server is not installed, and this test needs a real one: apt-get install redis-server', { cause: failed });
    if (child.exitCode !== null) return undefined;
    if (await answers(port)) return child;
  }
  killChild(child, 'SIGKILL');
  throw new Error(`redis-server did not answer on port ${port} within ${STARTS_WITHIN_MS} ms`);
};

/** @param more options of `redis-server`, such as `'--cluster-enabled', 'yes'`. */
export const startRedis = async (...more: readonly string[]): Promise<RedisServer> => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-redis-'));
  let port = 0;
  let child: ChildProcess | undefined;
  for (let tries = 0; child === undefined; tries++) {
    if (tries === TRIES) throw new Error(`redis-server ended ${TRIES} times right after its start, each time on another port`);
    port = await freePort();
    child = await launch(port, dir, more);
  }
  const kill = async (): Promise<void> => {
    if (child === undefined) return;
    const ended = once(child, 'exit');
    killChild(child, 'SIGKILL');
    await ended;
    child = undefined;
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    command: (...words) => ask(port, words),
    kill,
    start: async () => {
      child = await launch(port, dir, more);
      if (child === undefined) throw new Error(`redis-server could not start again on port ${port}`);
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    stop: async () => {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
};
