// The one place where the command line starts a node. Loaded only by `start` and `demo`, and where no server answers, so that other commands begin at once.

import { type Configuration, openLogger, type Roles, type RunningNode, startNode } from '../nodes/index.js';
import { Fault } from '../schemas/index.js';

export interface NodeRequest {
  readonly configuration: Configuration;
  /** Default: all. */
  readonly roles?: Roles;
  /** Level of the process log on standard error; undefined: none. */
  readonly logLevel?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}
export type StartNode = (request: NodeRequest) => Promise<RunningNode>;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const checkedLevel = (level: string): string => {
  if (!LEVELS.includes(level))
    throw new Fault('terminal', 'bad_configuration', `DATS_LOG_LEVEL "${level}" is not one of ${LEVELS.join(', ')}`);
  return level;
};

/** @throws Fault of startNode, or `bad_configuration` for a log level that there is not. */
export const startNodeHere: StartNode = async ({ configuration, roles, env, logLevel }) =>
  startNode({
    config: configuration.config,
    configVersion: configuration.version,
    baseDir: configuration.baseDir,
    env,
    ...(roles === undefined ? {} : { roles }),
    ...(logLevel === undefined ? {} : { logger: openLogger(checkedLevel(logLevel)) }),
  });
