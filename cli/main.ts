#!/usr/bin/env node
// The executable: hands the process to `runCli` and ends with its exit code.
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
    signal: ending.signal,
    now: Date.now,
  },
  { loadStartNode: async () => (await import('./node.js')).startNodeHere },
);
