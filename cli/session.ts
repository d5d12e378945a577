// What every command works with: the client, how to print, and how to read files with a plain word when that fails.
import { readFileSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { Command } from 'commander';
import { createClient, type DatsClient, type Sleep } from './client/index.js';
import { badUsage } from './exit.js';
import type { Io } from './io.js';
import type { StartNode } from './node.js';
import { type Colours, coloursFor } from './render/index.js';

export interface GlobalOptions {
  readonly json?: boolean;
  readonly url?: string;
  readonly quiet?: boolean;
}

export interface CliDeps {
  /** Loads what starts a node; `start`, `demo` and `offline.ts` call it. */
  readonly loadStartNode: () => Promise<StartNode>;
  readonly fetch?: typeof fetch;
  readonly sleep?: Sleep;
}

export interface Session {
  readonly io: Io;
  readonly deps: CliDeps;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly colours: Colours;
  client(): Promise<DatsClient>;
  /** The user said which server is meant (--url, DATS_URL): no other place will do. */
  readonly addressGiven: boolean;
  /** Lines for people; nothing with --json. */
  say(...lines: readonly string[]): void;
  /** Remarks beside the result, on standard error; nothing with --json or --quiet. */
  note(...lines: readonly string[]): void;
  /** One JSON document on one line; nothing without --json. */
  data(value: unknown): void;
  path(name: string): string;
  /** @throws Fault `bad_usage`. */
  read(name: string): string;
  /** The name a file gets in a task: relative to the working directory, or its last part when it lies elsewhere. */
  taskPath(name: string): string;
}

/** A server bound to every address is asked on loopback. */
const reachable = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;

const configuredUrl = async (io: Io): Promise<string> => {
  const { loadConfiguration } = await import('../nodes/index.js');
  const { gateway } = loadConfiguration({ env: io.env, cwd: io.cwd }).config;
  return `http://${reachable(gateway.host)}:${gateway.port}`;
};

const checkedUrl = (text: string, from: string): string => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw badUsage(`${from} "${text}" is not an address; give one such as http://127.0.0.1:8080`);
  return text;
};

export const openSession = (io: Io, deps: CliDeps, options: GlobalOptions): Session => {
  const colours = coloursFor(io.tty && !io.env.NO_COLOR && options.json !== true);
  const json = options.json === true;
  const quiet = options.quiet === true;
  let client: DatsClient | undefined;
  return {
    io,
    deps,
    json,
    quiet,
    colours,
    addressGiven: options.url !== undefined || Boolean(io.env.DATS_URL),
    client: async () => {
      const baseUrl =
        options.url !== undefined
          ? checkedUrl(options.url, '--url')
          : io.env.DATS_URL
            ? checkedUrl(io.env.DATS_URL, 'DATS_URL')
            : await configuredUrl(io);
      client ??= createClient({
        baseUrl,
        ...(deps.fetch === undefined ? {} : { fetch: deps.fetch }),
        ...(deps.sleep === undefined ? {} : { sleep: deps.sleep }),
      });
      return client;
    },
    say: (...lines) => {
      if (!json && lines.length > 0) io.out(`${lines.join('\n')}\n`);
    },
    note: (...lines) => {
      if (!json && !quiet && lines.length > 0) io.err(`${lines.join('\n')}\n`);
    },
    data: (value) => {
      if (json) io.out(`${JSON.stringify(value)}\n`);
    },
    path: (name) => resolve(io.cwd, name),
    read: (name) => {
      try {
        return readFileSync(resolve(io.cwd, name), 'utf8');
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code;
        throw badUsage(
          `cannot read ${name}: ${code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : code}; check the path`,
          cause,
        );
      }
    },
    taskPath: (name) => {
      const inside = relative(io.cwd, resolve(io.cwd, name));
      const outside = inside.startsWith('..') || isAbsolute(inside);
      return (outside ? join(name).split(sep).at(-1)! : inside).split(sep).join('/');
    },
  };
};

/** How a command is registered: `add(program, run)`, where `run` gives the action its session and turns its result into the exit code. */
export type Action = (session: Session, args: readonly string[], options: Readonly<Record<string, unknown>>) => Promise<number>;
export type Register = (program: Command, run: (action: Action) => (...given: unknown[]) => Promise<void>) => void;
