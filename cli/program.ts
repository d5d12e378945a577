// The command `dats`: its commands, how errors are shown, and the exit code. Touches nothing but the `Io` it is given.
import { Command, CommanderError } from 'commander';
import { type Fault, toFault } from '../schemas/index.js';
import { COMMANDS } from './commands/index.js';
import { EXIT, exitCodeOf } from './exit.js';
import type { Io } from './io.js';
import { type Action, type CliDeps, type GlobalOptions, openSession } from './session.js';

const EXAMPLES = `
Examples:
  dats start                                        start everything on this machine
  dats submit "Write slugify in src/slug.py" --wait --out ./result
  dats submit "Fix the parser" --file src/parser.ts --tests parser.test.ts --stream events
  dats batch tasks.jsonl --wait
  dats watch --project website
  dats taint src/lexer.ts --reason "wrong precedence"   what was made from it is shown, then marked and checked again
  dats rollback --to 30m --project website          its files as they stood half an hour ago
  dats sql "SELECT model, count() FROM dats.provenance GROUP BY model"
  dats demo                                         see it work, without a model or a key

Exit codes: 0 ok; 1 a task failed or the server answered an error; 2 bad usage or input; 3 no server; 130 Ctrl-C`;

const oneLineOf = (message: string): string =>
  message
    .replace(/^error:\s*/i, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim();

const show = (io: Io, error: unknown, json: boolean): void => {
  const fault: Fault = toFault(error);
  if (json) io.err(`${JSON.stringify({ error: { code: fault.code, message: fault.message, retryable: fault.kind === 'retryable' } })}\n`);
  else io.err(`dats: ${fault.message}\n`);
};

export const createProgram = (io: Io, deps: CliDeps, onExit: (code: number) => void): Command => {
  const program = new Command('dats')
    .description('Distributed agentic task system: AI coding work as a stream of immutable events.')
    .option('--json', 'machine-readable output: one JSON document, or one a line for streams')
    .option('--url <address>', 'address of the server (default: DATS_URL, then gateway of servers.yaml)')
    .option('--quiet', 'no remarks beside the result')
    .addHelpText('after', EXAMPLES)
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      outputError: (message, write) => write(`dats: ${oneLineOf(message)}; see dats --help\n`),
      getOutHelpWidth: () => io.columns,
    });
  const run =
    (action: Action) =>
    async (...given: unknown[]): Promise<void> => {
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals() as GlobalOptions & Record<string, unknown>;
      const session = openSession(io, deps, options);
      onExit(await action(session, command.args, options));
    };
  for (const register of COMMANDS) register(program, run);
  return program;
};

/** Runs one command line (without `node` and the script). Never throws; returns the exit code. */
export const runCli = async (argv: readonly string[], io: Io, deps: CliDeps): Promise<number> => {
  let code: number = EXIT.ok;
  try {
    await createProgram(io, deps, (exit) => {
      code = exit;
    }).parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (io.signal.aborted) {
      const exit = exitCodeOf(io.signal.reason);
      if (exit === EXIT.interrupted) io.err('dats: interrupted\n');
      return exit;
    }
    show(io, error, argv.includes('--json'));
    return exitCodeOf(error);
  }
};
