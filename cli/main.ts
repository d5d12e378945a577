#!/usr/bin/env node
// The executable: hands the process to `runCli` and ends with its exit code.
import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { interrupted, terminated } from './exit.js';
import { runCli } from './program.js';

const ending = new AbortController();
for (const [name, fault] of [
  ['SIGINT', interrupted],
  ['SIGTERM', terminated],
] as const)
  process.on(name, () => {
    // The second time somebody does not want to wait.
    if (ending.signal.aborted) process.exit(130);
    ending.abort(fault());
  });
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read our output has gone (`dats list | head`): nothing is left to do.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

/** The terminal stays as it is, so that Ctrl-C stays a signal; the end of the input is an empty answer. */
const ask = async (question: string): Promise<string> => {
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    return await Promise.race([lines.question(question, { signal: ending.signal }), closed]);
  } finally {
    lines.close();
  }
};
const atTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    out: (line) => void process.stdout.write(line),
    err: (line) => void process.stderr.write(line),
    tty: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 100,
    env: process.env,
    cwd: process.cwd(),
    stdin: () => text(process.stdin),
    ...(atTerminal ? { ask } : {}),
    signal: ending.signal,
    now: Date.now,
  },
  { loadStartNode: async () => (await import('./node.js')).startNodeHere },
);
