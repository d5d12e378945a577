// Exit codes, and which error gives which.
import { Fault, isFault } from '../schemas/index.js';

export const EXIT = {
  ok: 0,
  /** A task failed or was cancelled, a cascade was cut or cancelled, a rollback refused, a question answered with no, or the server answered an error. */
  failed: 1,
  /** Bad usage or bad input. */
  usage: 2,
  /** No server, or no schema registry, answers. */
  unreachable: 3,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

const BY_CODE: Readonly<Record<string, number>> = {
  bad_usage: EXIT.usage,
  bad_configuration: EXIT.usage,
  bad_roles: EXIT.usage,
  query_refused: EXIT.usage,
  stats_not_found: EXIT.usage,
  server_unreachable: EXIT.unreachable,
  bad_registry_url: EXIT.usage,
  registry_unavailable: EXIT.unreachable,
  interrupted: EXIT.interrupted,
  terminated: EXIT.ok,
};

export const exitCodeOf = (error: unknown): number => (isFault(error) ? (BY_CODE[error.code] ?? EXIT.failed) : EXIT.failed);

/** What is wrong with what was typed or given, why, and what to do. */
export const badUsage = (message: string, cause?: unknown): Fault => new Fault('terminal', 'bad_usage', message, { cause });
export const interrupted = (): Fault => new Fault('terminal', 'interrupted', 'interrupted');
export const terminated = (): Fault => new Fault('terminal', 'terminated', 'asked to end');
