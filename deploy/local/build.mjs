// Builds a program once a machine: its commands run one after another into one log, which stays beside the cache when they fail.
//
// B1. A build that ends before its last command leaves nothing in the cache (F1), and none of its commands goes on when whoever started it is gone.
// B2. Building takes minutes: it is said when it begins, every half minute, and when it is done. On standard error: standard output belongs to answers.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failure } from './failure.mjs';
import { fetched } from './fetch.mjs';
import { logExcerpt } from './log-excerpt.mjs';

/** Of a whole build, on a slow machine that does other things too. */
const BUILD_LIMIT_MS = 60 * 60_000;
const BUILD_COMMAND = 'node deploy/local/servers.mjs build';
const SAY_EVERY_MS = 30_000;
const SAID_CHARACTERS = 100;

/** The command, ended when the pipe on 3 closes: when the process that started it is gone, however it went. */
const WITH_US = `
"$@" 3<&- & build=$!
(read -r _ <&3; kill "$build") 2>/dev/null & watch=$!
wait "$build"; code=$?
kill "$watch" 2>/dev/null
exit "$code"`;

const toStandardError = (text) => process.stderr.write(`${text}\n`);

const sinceText = (start) => {
  const seconds = Math.round((Date.now() - start) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
};

/** Of what compilers say, the lines that are no part of another. */
const lastLineOf = (log) => {
  const lines = readFileSync(log, 'utf8')
    .split(/[\r\n]/)
    .filter((line) => /^\S/.test(line));
  return (lines.at(-1) ?? '').slice(0, SAID_CHARACTERS);
};

/** @returns {Promise<string | undefined>} how it failed */
const ranTo = (out, { file, args, env, cwd }, limitMs) =>
  new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', WITH_US, 'sh', file, ...args], { cwd, env, stdio: ['ignore', out, out, 'pipe'] });
    const held = child.stdio[3];
    const timer = setTimeout(() => held.destroy(), limitMs);
    const done = (how) => {
      clearTimeout(timer);
      held.destroy();
      resolve(how);
    };
    held.on('error', () => {});
    child.once('error', (error) => done(`could not be run (${error.message})`));
    child.once('exit', (code, signal) => done(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`));
  });

/**
 * Runs `commands` in turn.
 * @param {{ what: string, log: string, commands: readonly { file: string, args: readonly string[], env?: object, cwd?: string }[],
 *   say?: (line: string) => void, sayEveryMs?: number }} wanted
 * @throws failure `build_failed` with the end of the log
 */
const build = async ({ what, log, commands, say = toStandardError, sayEveryMs = SAY_EVERY_MS }) => {
  const start = Date.now();
  const out = openSync(log, 'w');
  say(`${what}: building it, once on this machine; this takes minutes (log ${log})`);
  const timer = setInterval(() => say(`${what}: building for ${sinceText(start)}: ${lastLineOf(log)}`), sayEveryMs);
  try {
    for (const command of commands) {
      const how = await ranTo(out, command, Math.max(1, start + BUILD_LIMIT_MS - Date.now()));
      if (how === undefined) continue;
      const message = `${what} could not be built: ${command.file} ${how} after ${sinceText(start)}.\n${logExcerpt([log])}\n  next: read the log, then try again.`;
      throw failure('build_failed', message);
    }
  } finally {
    clearInterval(timer);
    closeSync(out);
  }
  say(`${what}: built in ${sinceText(start)}`);
};

/**
 * The folder `<cache>/<name>` with what was built into it.
 * @param {{ cache: string, name: string, what: string, allowed?: boolean, say?: (line: string) => void, sayEveryMs?: number,
 *   commandsIn: (folder: string) => Promise<readonly object[]>, finish?: (folder: string) => void }} wanted
 *   `allowed`: false where only what is there already will do; `commandsIn` says what is run to fill a folder; `finish` leaves in it only what is wanted
 * @throws failure `not_built`, `build_failed`, and what `commandsIn` throws
 */
export const built = async ({ cache, name, what, commandsIn, allowed = true, finish = () => {}, say, sayEveryMs }) => {
  if (!allowed && !existsSync(join(cache, name)))
    throw failure(
      'not_built',
      `${what} is not built on this machine (${join(cache, name)}).\n  build it, once, some minutes: ${BUILD_COMMAND}`,
    );
  const fill = async (folder) => {
    await build({ what, log: join(cache, `${name}.build.log`), commands: await commandsIn(folder), say, sayEveryMs });
    finish(folder);
  };
  return fetched({ cache, name, limitMs: BUILD_LIMIT_MS, fill });
};
