// One run from spawn to end, the same for every rung: user namespace, hand-shake, start, limits, output, kill, clean up. What a rung adds is the
// script that builds the root.
//
// X1. The launcher enters a new user namespace and waits; only then are its ids mapped from outside, so nothing runs with powers over the host.
//     As root two ids are mapped: 0 builds, and a stranger (`nobody` outside) runs the code. Otherwise the only id is one's own, without capabilities.
// X2. The clock starts when the code starts (`s` on the control channel), building has a limit of its own.
// X3. A run has ended only when every process of it is gone: killing the first process of the process namespace kills all.
// X4. The temporary folder of a run is removed however it ends; what a killed owner left is removed by the next start. X5. If this process dies, the sandbox dies with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { Fault } from '../../../schemas/index.js';
import { type Ending, limitOf } from './ending.js';
import { inheritedDescriptors } from './host.js';
import type { Layout } from './layout.js';
import { usageBelow } from './process-tree.js';
import type { SandboxRequest, SandboxResult } from './sandbox.js';
import { resolveProgram, type Toolchain } from './toolchain.js';

/** Building the root takes about 20 ms; on a starved machine much more. */
const BUILD_TIMEOUT_MS = 15_000;
const WATCH_INTERVAL_MS = 20;
/** Every n-th look also counts memory files. */
const DEEP_EVERY = 4;
/** A run that says this many times what is kept is not going to say anything useful. */
const OUTPUT_KILL_FACTOR = 4;
/** Room for the build script's complaints. */
const COMPLAINT_BYTES = 4_096;
/** The owner's process id follows, so that what a killed owner left can be told from what is in use. */
const FOLDER_PREFIX = 'dats-sandbox-';
const TOOL_PATH = '/usr/bin:/usr/sbin:/bin:/sbin';
const NODE_HEAP_SHARE = 0.75;

/** Outside id that runs the code when this process is root: `nobody`. */
const STRANGER = 65_534;
/** Its id inside. */
export const INNER_STRANGER = 1_000;

export interface Plan {
  /** Temporary folder of this run, on the host. */
  readonly folder: string;
  readonly layout: Layout;
  readonly request: SandboxRequest;
  /** Program and arguments, resolved. */
  readonly command: readonly string[];
  /** True when the code runs under an id of its own. */
  readonly stranger: boolean;
}

export interface Rung {
  readonly name: 'bubblewrap' | 'unshare';
  /** Flags of `unshare` beside the user namespace. */
  readonly namespaces: readonly string[];
  /** Writes what it needs into `plan.folder` and gives the shell script that builds the root and runs `"$@"`. */
  prepare(plan: Plan): Promise<string>;
}

const HANDSHAKE = 'echo u >&3; read -r go <&3 || exit 70; exec setpriv --pdeathsig KILL /bin/sh -c "$0" sandbox "$@"';

function mapIds(pid: number): void {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  if (uid === 0) {
    writeFileSync(`/proc/${pid}/uid_map`, `0 0 1\n${INNER_STRANGER} ${STRANGER} 1\n`);
    writeFileSync(`/proc/${pid}/gid_map`, `0 0 1\n${INNER_STRANGER} ${STRANGER} 1\n`);
    return;
  }
  writeFileSync(`/proc/${pid}/setgroups`, 'deny');
  writeFileSync(`/proc/${pid}/uid_map`, `0 ${uid} 1\n`);
  writeFileSync(`/proc/${pid}/gid_map`, `0 ${gid} 1\n`);
}

/** The last step's own words when there is nothing to run. */
const NOT_EXECUTED = /^setpriv: failed to execute/;

interface Sink {
  text(): string;
  truncated(): boolean;
}

function collect(stream: Readable, limit: number, onFlood: () => void): Sink {
  const chunks: Buffer[] = [];
  let kept = 0;
  let seen = 0;
  stream.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (kept < limit) {
      const part = chunk.subarray(0, limit - kept);
      chunks.push(part);
      kept += part.length;
    }
    if (seen > limit * OUTPUT_KILL_FACTOR) onFlood();
  });
  // A killed sandbox breaks its pipes; the exit tells the story.
  stream.on('error', () => undefined);
  return { text: () => new TextDecoder().decode(Buffer.concat(chunks)), truncated: () => seen > limit };
}

const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** A shell reports a signal as 128 + number. */
const exitOf = (code: number | null, signal: NodeJS.Signals | null): { code: number | null; signal: string | null } => {
  const name = code !== null && code > 128 ? SIGNALS.get(code - 128) : undefined;
  return name === undefined ? { code, signal } : { code: null, signal: name };
};

/** Owns the child of one run: the hand-shake, the clocks, the watcher and the kill. */
class Run {
  readonly #child: ChildProcess;
  readonly #control: Duplex;
  readonly #request: SandboxRequest;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #onAbort = () => this.#kill(undefined);
  #startedAt: number | undefined;
  #killedFor: Ending['killedFor'];
  #peakTasks = 0;
  #spawnError: Error | undefined;

  constructor(child: ChildProcess, request: SandboxRequest) {
    this.#child = child;
    this.#control = child.stdio[3] as Duplex;
    this.#request = request;
  }

  #kill(reason: Ending['killedFor']): void {
    this.#killedFor ??= reason;
    const launcher = this.#child.pid;
    if (launcher === undefined) return;
    for (const pid of [...usageBelow(launcher, false).pids.slice(0, 2), launcher]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    }
  }

  #watch(launcher: number): void {
    let looks = 0;
    const { memory_bytes, processes } = this.#request.limits;
    this.#timers.push(
      setInterval(() => {
        const usage = usageBelow(launcher, looks++ % DEEP_EVERY === 0);
        this.#peakTasks = Math.max(this.#peakTasks, usage.tasks);
        if (usage.memory_bytes > memory_bytes) this.#kill('memory');
        else if (usage.tasks > processes + LAUNCHER_TASKS) this.#kill('processes');
      }, WATCH_INTERVAL_MS),
    );
  }

  #onControl(text: string): void {
    const pid = this.#child.pid;
    if (pid === undefined) return;
    if (text.includes('u')) {
      try {
        mapIds(pid);
        this.#control.write('go\n');
      } catch (error) {
        this.#spawnError = error as Error;
        this.#kill(undefined);
      }
    }
    if (text.includes('s')) {
      this.#startedAt = performance.now();
      this.#timers.push(setTimeout(() => this.#kill('timeout'), this.#request.limits.timeout_ms));
      this.#watch(pid);
    }
  }

  async end(signal: AbortSignal): Promise<SandboxResult> {
    const child = this.#child;
    const flood = () => this.#kill('output');
    const stdout = collect(child.stdout as Readable, this.#request.limits.output_bytes, flood);
    const stderr = collect(child.stderr as Readable, Math.max(this.#request.limits.output_bytes, COMPLAINT_BYTES), flood);
    this.#control.on('data', (chunk: Buffer) => this.#onControl(chunk.toString('latin1')));
    this.#control.on('error', () => undefined);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(this.#request.stdin ?? '');
    this.#timers.push(setTimeout(() => this.#startedAt ?? this.#kill('timeout'), BUILD_TIMEOUT_MS));
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
    const closed = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.once('error', (error) => {
        this.#spawnError = error;
        if (child.pid === undefined) resolve({ code: null, signal: null });
      });
      child.once('close', (code, by) => resolve({ code, signal: by }));
    });
    for (const timer of this.#timers) clearTimeout(timer);
    signal.removeEventListener('abort', this.#onAbort);
    signal.throwIfAborted();
    if (this.#startedAt === undefined) throw this.#notStarted(stderr.text());
    if (NOT_EXECUTED.test(stderr.text()) && (closed.code === 126 || closed.code === 127)) throw this.#missing();
    const ended = exitOf(closed.code, closed.signal);
    const ending: Ending = {
      ...ended,
      stderr: stderr.text(),
      killedFor: this.#killedFor,
      peakTasks: this.#peakTasks,
      processes: this.#request.limits.processes,
    };
    return {
      ...(this.#killedFor === undefined ? ended : { code: null, signal: 'SIGKILL' }),
      limit: limitOf(ending),
      stdout: stdout.text(),
      stderr: stderr.text().slice(0, this.#request.limits.output_bytes),
      truncated: stdout.truncated() || stderr.truncated(),
      duration_ms: performance.now() - this.#startedAt,
    };
  }

  #missing(): Fault {
    return new Fault(
      'terminal',
      'program_missing',
      `${this.#request.command[0]} cannot be run in the sandbox: install it below /usr, or choose another command.`,
    );
  }

  #notStarted(complaint: string): Fault {
    const why = this.#spawnError?.message ?? (complaint.trim().split('\n').at(-1) || 'it gave no reason');
    return new Fault('terminal', 'sandbox_unavailable', `The sandbox could not be built: ${why}`, { cause: this.#spawnError });
  }
}

/** Launcher, first process and its shell: part of the tree, not of the code. */
export const LAUNCHER_TASKS = 4;

function environment(request: SandboxRequest): Record<string, string> {
  const heap = Math.floor((request.limits.memory_bytes * NODE_HEAP_SHARE) / (1024 * 1024));
  return {
    HOME: '/tmp',
    TMPDIR: '/tmp',
    LANG: 'C.UTF-8',
    NODE_OPTIONS: `--max-old-space-size=${heap}`,
    NO_COLOR: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONHASHSEED: '0',
    ...request.env,
    PATH: TOOL_PATH,
  };
}

/** Spawns with the standard streams and the control channel (3); every other descriptor that would be inherited becomes /dev/null. */
function spawnCovered(line: readonly string[], request: SandboxRequest, nothing: number): ChildProcess {
  const inherited = inheritedDescriptors();
  const stdio: ('pipe' | 'ignore' | number)[] = Array.from({ length: Math.max(3, ...inherited) + 1 }, () => 'ignore');
  for (const fd of inherited) stdio[fd] = nothing;
  stdio.splice(0, 4, 'pipe', 'pipe', 'pipe', 'pipe');
  return spawn('setpriv', line, { cwd: '/', env: environment(request), stdio, detached: true });
}

/** Removes the folders of owners that no longer run. */
export async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(FOLDER_PREFIX) ? /^\d+/.exec(name.slice(FOLDER_PREFIX.length))?.[0] : undefined;
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    // Another user's is not ours to remove.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Runs one request on a rung. @throws Fault terminal `sandbox_unavailable`, `program_missing`; the signal's reason when aborted. */
export async function launch(
  rung: Rung,
  toolchain: Toolchain,
  layout: Layout,
  request: SandboxRequest,
  signal: AbortSignal,
): Promise<SandboxResult> {
  signal.throwIfAborted();
  const [program, ...args] = request.command;
  if (program === undefined) throw new Fault('terminal', 'program_missing', 'The command to run in the sandbox is empty.');
  const command = [resolveProgram(toolchain, program), ...args];
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  try {
    const script = await rung.prepare({ folder, layout, request, command, stranger: process.geteuid?.() === 0 });
    const line = [
      '--pdeathsig',
      'KILL',
      'unshare',
      '--user',
      '--mount',
      ...rung.namespaces,
      '--',
      '/bin/sh',
      '-c',
      HANDSHAKE,
      script,
      ...command,
    ];
    const nothing = openSync('/dev/null', 'r');
    const child = spawnCovered(line, request, nothing);
    closeSync(nothing);
    return await new Run(child, request).end(signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
