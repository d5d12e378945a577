// The engine of a node without a ClickHouse server: a process that owns `<data_dir>/clickhouse` and answers on a socket there. Every process of the node uses it;
// the first that needs it starts it, and whoever is left starts it again when its starter has gone.
//
// B1. At most one engine a folder. B2. Nobody waits for it unless they ask it something, and then not for longer than START_MS. B3. A machine that has no engine
// (no build of chDB for it) says so once and for all.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault, killChild } from '../../schemas/index.js';
import type { AskLimits } from '../analytics.js';
import { pause } from '../pause.js';
import { EXIT_TAKEN } from './engine/exit.js';

export interface EmbeddedOptions {
  readonly dir: string;
  readonly limits: AskLimits;
  /** For tests, which run this source: the built `engine/main.js`. */
  readonly engine?: string;
}

/** Longest path of a socket, with room to spare. */
const SOCKET_PATH_LIMIT = 100;
const START_MS = 20_000;
const LOOK_MS = 50;

/** Where the engine of a folder answers: in it, or where that path would be too long for a socket, in the system's folder for such things. */
export const socketOf = (dir: string): string => {
  const beside = join(dir, 'engine.sock');
  if (Buffer.byteLength(beside) <= SOCKET_PATH_LIMIT) return beside;
  return join(tmpdir(), `dats-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}.sock`);
};

const answers = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });

export class EmbeddedEngine {
  readonly socket: string;
  readonly #options: EmbeddedOptions;
  #starting: Promise<void> | undefined;
  #child: ChildProcess | undefined;
  #closed = false;
  #hopeless: Fault | undefined;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.socket = socketOf(options.dir);
  }

  /** Resolves when an engine answers. @throws Fault retryable `analytics_unavailable`, `no_engine` (B3) */
  async up(): Promise<void> {
    if (this.#hopeless !== undefined) throw this.#hopeless;
    if (this.#child !== undefined && this.#starting === undefined) return;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting?.catch(() => undefined);
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    // It did not hold this process; its end is waited for.
    child.ref();
    killChild(child, 'SIGTERM');
    await gone;
  }

  async #start(): Promise<void> {
    for (const deadline = performance.now() + START_MS; performance.now() < deadline && !this.#closed; await pause(LOOK_MS)) {
      if (await answers(this.socket)) return;
      if (await this.#spawn()) return;
    }
    throw new Fault('retryable', 'analytics_unavailable', `the embedded ClickHouse engine of ${this.#options.dir} did not start`);
  }

  /** False when another process has the folder: it will answer soon, or is about to end. */
  async #spawn(): Promise<boolean> {
    const { dir, limits, engine = fileURLToPath(new URL('./engine/main.js', import.meta.url)) } = this.#options;
    const limitArgs = ['--ask-timeout-ms', limits.timeoutMs, '--ask-rows', limits.rows, '--ask-memory-bytes', limits.memoryBytes].map(
      String,
    );
    const child = spawn(process.execPath, [engine, '--dir', dir, '--socket', this.socket, ...limitArgs], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '8', NODE_OPTIONS: '' },
    });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-2_000);
    });
    const outcome = await new Promise<'ready' | 'ended' | number>((resolve) => {
      child.once('message', () => resolve('ready'));
      // Killed, or told to end: that says nothing of the next one.
      child.once('exit', (code) => resolve(code === null || code === 0 ? 'ended' : code));
      child.once('error', () => resolve('ended'));
    });
    if (outcome === 'ready') {
      this.#child = child;
      // Neither holds this process: it ends when it has nothing else to do, and the engine with it.
      child.unref();
      child.channel?.unref();
      (child.stderr as { unref?: () => void } | null)?.unref?.();
      child.once('exit', () => {
        if (this.#child === child) this.#child = undefined;
      });
      return true;
    }
    if (outcome === EXIT_TAKEN || outcome === 'ended') return false;
    this.#hopeless = new Fault(
      'retryable',
      'no_engine',
      `the embedded ClickHouse engine cannot run here (${said.trim().split('\n').at(-1) ?? `exit code ${outcome}`}); name a server (analytics.kind: server) or set analytics.kind: none`,
    );
    throw this.#hopeless;
  }
}
