// Starts, stops and finds one server: a process of its own that outlives whoever started it. It knows no server by name: a server is
// `{ name, address, ports, dir, logs, stopLimitMs, startLimitMs, prepare(), command(), answers(), furnish?() }` (kafka.mjs, redis.mjs, ollama.mjs ...).
//
// S1. `pid.json` is written by the process itself before it becomes the server, so there is no server without it, whoever dies when.
// S2. A pid is believed only with its start time and boot: a number that another program has by now is no server of ours.
// S3. `up` is what the server says, never what a file says.
// S4. Nothing of ours is left running when a start fails.
// S5. What a server started ends with it, also where the server was killed (Ollama's runners would go on): all of them have its mark in their environment.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { failure } from './failure.mjs';
import { bootId, identityOf, lives, markedWith } from './identity.mjs';
import { withLock } from './lock.mjs';
import { endsOf, logExcerpt } from './log-excerpt.mjs';
import { portIsFree } from './probe.mjs';

const PAUSE_MS = 50;
const KILL_LIMIT_MS = 10_000;
/** Another start may have to download or build first. */
const START_LOCK_LIMIT_MS = 90 * 60_000;
const STOP_LOCK_LIMIT_MS = 120_000;
/** $1 pid file, $2 boot, $3 address, then the command. Linux says the start time in /proc, others through ps. */
const BECOME = `
if [ -r "/proc/$$/stat" ]; then start=$(cut -d' ' -f22 "/proc/$$/stat"); else start=$(ps -o lstart= -p $$); fi
printf '{"pid":%s,"start":"%s","boot":"%s","address":"%s"}\\n' "$$" "$start" "$2" "$3" > "$1.new" && mv "$1.new" "$1" || exit 1
shift 3
exec "$@"`;

const pidFile = (server) => join(server.dir, 'pid.json');
const lockFile = (server) => join(server.dir, 'start.lock');

const recorded = (server) => {
  try {
    return JSON.parse(readFileSync(pidFile(server), 'utf8'));
  } catch {
    return undefined;
  }
};

/** The living process of this server, or undefined. */
export const processOf = (server) => {
  const found = recorded(server);
  return found && lives(found) ? found : undefined;
};

/** A pid file whose process is gone, or is another program by now. */
export const stalePidOf = (server) => {
  const found = recorded(server);
  return found && !lives(found) ? found : undefined;
};

const MARK = 'DATS_SERVERS_PROCESS_OF';
/** Processes that the server has left behind; none while it runs. */
export const leftBehind = (server) => (processOf(server) ? [] : markedWith(`${MARK}=${server.dir}`));

const until = async (limitMs, condition) => {
  const end = Date.now() + limitMs;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() >= end) return false;
    await pause(PAUSE_MS);
  }
};

const signalled = (identity, signal) => {
  if (!lives(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
};

const ended = async (identity, signal, limitMs) => {
  signalled(identity, signal);
  return until(limitMs, () => !lives(identity));
};

const endLeftBehind = (server) => Promise.all(leftBehind(server).map((one) => ended(one, 'SIGKILL', KILL_LIMIT_MS)));

/** Detached: no terminal, no file of the caller's. The server's own words go to the last of its logs. */
const spawned = (server) => {
  const { file, args, env = process.env } = server.command();
  const out = openSync(server.logs.at(-1), 'a');
  try {
    const words = ['-c', BECOME, 'sh', pidFile(server), bootId(), server.address, file, ...args];
    const marked = { ...env, [MARK]: server.dir };
    const child = spawn('/bin/sh', words, { cwd: server.dir, env: marked, detached: true, stdio: ['ignore', out, out] });
    child.unref();
    return child;
  } finally {
    closeSync(out);
  }
};

const wipe = (server) => {
  for (const name of readdirSync(server.dir).filter((one) => one === 'data' || one.startsWith('data.trash-'))) {
    const trash = name === 'data' ? `data.trash-${Date.now()}` : name;
    if (name === 'data') renameSync(join(server.dir, name), join(server.dir, trash));
    rmSync(join(server.dir, trash), { recursive: true, force: true });
  }
};

const portTaken = (server, port) =>
  failure(
    'port_taken',
    `${server.name}: another program listens on port ${port}. Stop it, or choose another port with ${server.portVariable}.`,
  );

const notAnswering = (server, what, ends) =>
  failure(
    'not_answering',
    `${server.name} ${what}.\n${logExcerpt(server.logs, ends)}\n  next: read the log, then try again (--fresh starts with empty data).`,
  );

/** What is put into it once it answers. */
const furnished = async (server, ends) => {
  try {
    await server.furnish?.();
  } catch (error) {
    throw notAnswering(server, `answers, but could not be made ready (${error.message})`, ends);
  }
};

const launch = async (server) => {
  await endLeftBehind(server);
  for (const port of server.ports) if (!(await portIsFree(port))) throw portTaken(server, port);
  await server.prepare();
  rmSync(pidFile(server), { force: true });
  const ends = endsOf(server.logs);
  const child = spawned(server);
  let gone;
  child.once('error', (error) => {
    gone = `could not be run (${error.message})`;
  });
  child.once('exit', (code, signal) => {
    gone = `ended while it started (${signal ?? `exit code ${code}`})`;
  });
  const answered = await until(server.startLimitMs, async () => gone !== undefined || (await server.answers()));
  try {
    if (!answered || gone !== undefined)
      throw notAnswering(server, gone ?? `did not answer at ${server.address} within ${server.startLimitMs / 1000} s`, ends);
    await furnished(server, ends);
    return processOf(server);
  } catch (error) {
    const own = child.pid === undefined ? undefined : identityOf(child.pid);
    if (own) await ended(own, 'SIGKILL', KILL_LIMIT_MS);
    rmSync(pidFile(server), { force: true });
    await endLeftBehind(server);
    throw error;
  }
};

const adopt = async (server, running) => {
  if (running.address !== server.address)
    throw failure(
      'other_address',
      `${server.name} runs at ${running.address} (pid ${running.pid}), and ${server.address} is asked for. Stop it first (down), or ask for its port.`,
    );
  await until(server.startLimitMs, async () => !lives(running) || (await server.answers()));
  if (!lives(running)) throw notAnswering(server, `(pid ${running.pid}) was starting and ended`);
  if (await server.answers()) {
    await furnished(server);
    return running;
  }
  throw notAnswering(server, `runs (pid ${running.pid}) but does not answer at ${server.address}`);
};

const stop = async (server) => {
  const running = processOf(server);
  let how = stalePidOf(server) ? 'stale' : 'not running';
  if (running) {
    how = (await ended(running, 'SIGTERM', server.stopLimitMs)) ? 'stopped' : 'killed';
    if (how === 'killed' && !(await ended(running, 'SIGKILL', KILL_LIMIT_MS)))
      throw failure(
        'does_not_end',
        `${server.name} (pid ${running.pid}) is still there ${KILL_LIMIT_MS / 1000} s after SIGKILL.\n${logExcerpt(server.logs)}`,
      );
  }
  await endLeftBehind(server);
  rmSync(pidFile(server), { force: true });
  return how;
};

/**
 * Starts the server where it does not run, and waits until it answers.
 * @param {object} server
 * @param {{ fresh?: boolean }} [options] `fresh` stops it first and empties its data
 * @returns {Promise<{ pid: number, already: boolean }>}
 * @throws failure `port_taken`, `not_answering`, `other_address`, and what `prepare` throws (`java_missing`, `download_failed` ...)
 */
export const startServer = async (server, { fresh = false } = {}) => {
  mkdirSync(server.dir, { recursive: true });
  return withLock(lockFile(server), START_LOCK_LIMIT_MS, async () => {
    if (fresh) {
      await stop(server);
      wipe(server);
    }
    const running = processOf(server);
    const { pid } = running ? await adopt(server, running) : await launch(server);
    return { pid, already: running !== undefined };
  });
};

/**
 * SIGTERM, and SIGKILL after the server's own limit. Waits for a start that is under way.
 * @returns {Promise<'stopped' | 'killed' | 'stale' | 'not running'>} `stale`: its process had gone by itself
 * @throws failure `does_not_end`, `locked`
 */
export const stopServer = async (server) => {
  if (!existsSync(server.dir)) return 'not running';
  return withLock(lockFile(server), STOP_LOCK_LIMIT_MS, () => stop(server));
};

/** SIGKILL, as a crash of the machine would. Resolves when it and what it started are gone; its pid file stays, as after a crash. */
export const killServer = async (server) => {
  const running = processOf(server);
  if (running) await ended(running, 'SIGKILL', KILL_LIMIT_MS);
  await endLeftBehind(server);
};

/** What the server itself says, and whether it is ours. */
export const statusOf = async (server) => {
  const [up, running] = [await server.answers(), processOf(server)];
  return {
    name: server.name,
    up,
    address: server.address,
    pid: running?.pid ?? null,
    ours: running !== undefined,
    stalePid: stalePidOf(server)?.pid ?? null,
    logs: server.logs,
  };
};
