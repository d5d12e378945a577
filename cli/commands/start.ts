// `dats start`: a node in this process, until it is asked to end.
import type { Command } from 'commander';
import { EXIT } from '../exit.js';
import type { Register, Session } from '../session.js';
import { wholeNumber } from './options.js';

const untilEnded = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** How often the timer fires that holds the process open, in milliseconds: it need do nothing, only be there. */
const HOLD_MS = 60_000;

/** @param more variables, as if they were set */
export const startServing = async (
  session: Session,
  options: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
): Promise<number> => {
  const { io } = session;
  const { describeRoles, loadConfiguration, parseRoles } = await import('../../nodes/index.js');
  const roles = parseRoles(String(options.roles));
  const given = { DATS_GATEWAY_PORT: options.port, DATS_GATEWAY_HOST: options.host, DATS_NODE_DATA_DIR: options.dataDir };
  const env = {
    ...io.env,
    ...more,
    ...Object.fromEntries(Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))),
  };
  const configuration = loadConfiguration({ env, cwd: io.cwd, ...(options.config === undefined ? {} : { path: String(options.config) }) });
  session.note(...configuration.warnings.map((warning) => `dats: ${warning}`));

  const startNode = await session.deps.loadStartNode();
  const node = await startNode({ configuration, roles, env, logLevel: env.DATS_LOG_LEVEL || (session.quiet ? 'warn' : 'info') });
  // Without a gateway nothing else holds the process open: idle, it would simply end.
  const hold = setInterval(() => {}, HOLD_MS);
  try {
    session.data({
      event: 'started',
      url: node.url ?? null,
      roles: describeRoles(roles),
      data_dir: configuration.config.node.data_dir,
      config_version: configuration.version,
    });
    session.say(
      `DATS ${node.url === undefined ? `runs ${describeRoles(roles)}` : `answers at ${node.url}   docs: ${node.url}/docs`}`,
      `data in ${configuration.config.node.data_dir}; configuration ${configuration.path ?? '(built-in defaults)'} version ${configuration.version}; Ctrl-C ends it`,
    );
    const failure = await Promise.race([untilEnded(io.signal), node.failed.then((error) => ({ error }))]);
    if (failure !== undefined) throw failure.error;
    session.note('dats: ending; what is running is taken up again at the next start');
  } finally {
    await node.stop();
    clearInterval(hold);
  }
  io.signal.throwIfAborted();
  return EXIT.ok;
};

export const startOptions = (command: Command): Command =>
  command
    .option('--roles <list>', 'all, or gateway, deciders, workers, workers:small+qa, separated by commas', 'all')
    .option('--config <file>', 'servers.yaml to use (default: DATS_CONFIG, ./servers.yaml, built-in defaults)')
    .option('--port <number>', 'port of the gateway; 0 takes a free one', wholeNumber(0, 65_535))
    .option('--host <address>', 'address to bind to')
    .option('--data-dir <folder>', 'where log, views and artifacts lie');

export const start: Register = (program, run) => {
  startOptions(program.command('start').description('start a node here: gateway, deciders and workers, or some of them'))
    .addHelpText(
      'after',
      '\nExamples:\n  dats start\n  dats start --port 9090 --data-dir /var/lib/dats\n  dats start --roles workers --config edge.yaml',
    )
    .action(run((session, _args, options) => startServing(session, options)));
};
