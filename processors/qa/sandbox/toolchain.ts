// Where the interpreters are: `python3` and `node` as real paths, and the directories a sandbox has to show (read-only) for them to start.
//
// T1. A shim on PATH (pyenv, asdf) is not the interpreter: python is asked once what it is. T2. An interpreter inside somebody's home shows only
// its own version prefix, never the home. T3. A prefix that is a home, the root or a hidden directory is not shown.
import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname } from 'node:path';
import { Fault } from '../../../schemas/index.js';

/** Asking python what it is must not hang the start (a shim can run a whole shell). */
const DISCOVERY_TIMEOUT_MS = 10_000;
const SYSTEM_ROOTS = ['/usr', '/bin', '/sbin', '/lib', '/lib64'];

export interface Program {
  readonly executable: string;
  /** Directories (or the file itself) to be shown read-only; empty when /usr holds it all. */
  readonly shows: readonly string[];
}

export interface Toolchain {
  readonly node: Program;
  /** Undefined where there is no python3. */
  readonly python: Program | undefined;
}

export const isBelow = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`);

const real = (path: string): string => (existsSync(path) ? realpathSync(path) : path);

const isHomeOrRoot = (path: string): boolean =>
  path === '/' || dirname(path) === '/' || path === real(homedir()) || dirname(path) === '/home';

/** What to bind for a prefix: nothing for the system's, the prefix itself, or just the executable when the prefix is too much to show. */
function shown(prefix: string, executable: string): readonly string[] {
  const path = real(prefix);
  if (SYSTEM_ROOTS.some((root) => isBelow(path, root))) return [];
  if (path.startsWith('/nix/store/')) return ['/nix/store'];
  return isHomeOrRoot(path) ? [executable] : [path];
}

function nodeProgram(): Program {
  const executable = real(process.execPath);
  const bin = dirname(executable);
  return { executable, shows: shown(basename(bin) === 'bin' ? dirname(bin) : executable, executable) };
}

const QUESTION = 'import sys, json; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix]))';

function askPython(env: NodeJS.ProcessEnv): Promise<readonly string[] | undefined> {
  return new Promise((resolve) => {
    execFile('python3', ['-I', '-c', QUESTION], { env, timeout: DISCOVERY_TIMEOUT_MS, cwd: '/' }, (error, stdout) => {
      if (error) return resolve(undefined);
      try {
        const answer: unknown = JSON.parse(stdout.trim());
        resolve(Array.isArray(answer) && answer.every((a): a is string => typeof a === 'string' && a !== '') ? answer : undefined);
      } catch {
        resolve(undefined);
      }
    });
  });
}

async function pythonProgram(env: NodeJS.ProcessEnv): Promise<Program | undefined> {
  const answer = await askPython(env);
  const [executable, ...prefixes] = answer ?? [];
  if (executable === undefined) return undefined;
  const shows = prefixes.flatMap((prefix) => shown(prefix, real(executable)));
  return { executable, shows: [...new Set(shows)] };
}

/** Finds both interpreters. `env` is only read for PATH and the settings of version managers. */
export async function findToolchain(env: NodeJS.ProcessEnv): Promise<Toolchain> {
  return { node: nodeProgram(), python: await pythonProgram(env) };
}

/** @throws Fault terminal `program_missing`. */
export function resolveProgram(toolchain: Toolchain, name: string): string {
  if (name === 'node') return toolchain.node.executable;
  if (name !== 'python3' && name !== 'python') return name;
  if (toolchain.python !== undefined) return toolchain.python.executable;
  throw new Fault(
    'terminal',
    'program_missing',
    'python3 is not installed on this node: install it (apt-get install python3) and restart.',
  );
}
