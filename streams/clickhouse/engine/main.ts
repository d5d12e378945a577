// The embedded ClickHouse engine (chDB) as a process of its own, behind a socket: started by `embedded.ts`, never by hand.
//
// N1. It owns its folder: the engine refuses a second owner, and then this ends with EXIT_TAKEN. N2. It lives no longer than who started it (the channel
// closes), and less important than everything else on the machine (its niceness). N3. It says `ready` once, when it answers.
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { Session } from 'chdb';
import { EXIT_TAKEN } from './exit.js';
import { createFront, type EngineSession, type FrontOptions } from './front.js';

const NICENESS = 10;
const WRITERS = 2;
const QUESTIONS = 2;
const READERS = 2;
/** Of the whole engine, in bytes; what is above is refused and tried again. */
const MEMORY_BYTES = 4 * 1024 * 1024 * 1024;

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    socket: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string' },
    'ask-timeout-ms': { type: 'string' },
    'ask-rows': { type: 'string' },
    'ask-memory-bytes': { type: 'string' },
  },
});
const { dir, socket, port } = values;
if (dir === undefined || (socket === undefined && port === undefined))
  throw new Error('this is started by DATS; it wants --dir and --socket (or --port)');

const FORM = { format: 'TabSeparated' } as const;

const sessionOf = (args: readonly string[]): EngineSession => {
  const session = new Session(dir, { connectionArgs: [...args] });
  return {
    async run(sql) {
      try {
        const result = await session.queryAsync(sql, FORM);
        return Buffer.from(result.bytes());
      } catch (error) {
        // chdb 3.4.0: what a failed statement had written by then comes out with the answer to the next one.
        await session.queryAsync('SELECT 1', FORM).catch(() => undefined);
        throw error;
      }
    },
  };
};

const open = (): FrontOptions => {
  mkdirSync(dir, { recursive: true });
  const shared = ['--date_time_output_format=iso', '--output_format_json_quote_64bit_integers=1', '--output_format_json_quote_decimals=0'];
  const limits = [
    '--readonly=1',
    `--max_execution_time=${Number(values['ask-timeout-ms'] ?? 10_000) / 1000}`,
    `--max_result_rows=${values['ask-rows'] ?? 10_000}`,
    '--result_overflow_mode=throw',
    `--max_memory_usage=${values['ask-memory-bytes'] ?? 1024 * 1024 * 1024}`,
    '--max_threads=2',
  ];
  const ours = [...shared, `--max_memory_usage=${MEMORY_BYTES}`];
  // One thread an insert: the pipeline beside it needs the processor too.
  const writers = Array.from({ length: WRITERS }, () => sessionOf([...ours, '--max_threads=1', '--max_insert_threads=1']));
  const questions = Array.from({ length: QUESTIONS }, () => sessionOf(ours));
  return { writers, questions, readers: Array.from({ length: READERS }, () => sessionOf([...limits, ...shared])) };
};

let sessions: ReturnType<typeof open>;
try {
  setPriority(NICENESS);
} catch {
  // Not everywhere allowed; it is a courtesy.
}
try {
  sessions = open();
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exit(EXIT_TAKEN);
}
const front = createFront(sessions);
// An orderly exit runs the engine's destructors, and they can wait for ever for one of its threads: then it holds its folder, takes connections and answers none. What
// was acknowledged is written, so nothing is lost without them.
const end = (): void => void process.kill(process.pid, 'SIGKILL');
process.on('disconnect', end);
process.on('SIGTERM', end);
// The terminal's Ctrl-C goes to the whole group; who started this decides when it ends.
process.on('SIGINT', () => undefined);
const ready = () => {
  if (socket !== undefined) chmodSync(socket, 0o600);
  process.send?.({ ready: true });
};
if (socket !== undefined) {
  rmSync(socket, { force: true });
  front.listen(socket, ready);
} else front.listen(Number(port), values.host ?? '127.0.0.1', ready);
