// The settings of this process, opened and told of.
//
// N1. Starting does not wait for a log that is away: the door opens, and health says what is wrong. N2. No group is served before the registry has been read.
import type { Logger } from 'pino';
import { builtInPrompts, openSettings, type Settings, type SettingsOptions } from '../processors/settings/index.js';
import type { Servers } from '../schemas/index.js';
import { type Log, within } from '../streams/index.js';

/** Longest that the start of a process is held up until its settings are read, in milliseconds (N1). */
const START_MS = 2_000;

export interface NodeSettingsOptions {
  readonly log: Log;
  readonly config: Servers;
  /** Of servers.yaml. */
  readonly digest: string;
  readonly logger: Logger;
  readonly onProblem: SettingsOptions['onProblem'];
}

export const openNodeSettings = async ({ log, config, digest, logger, onProblem }: NodeSettingsOptions): Promise<Settings> => {
  const settings = openSettings({ log, base: { digest, servers: config, prompts: builtInPrompts }, onProblem });
  await within(START_MS, settings.ready);
  const said = settings.current().version;
  if (said !== digest) logger.info({ config_version: said }, 'settings were changed since servers.yaml');
  settings.onChange(({ key, version, by }, { version: config_version }) =>
    logger.info({ key, version, by, config_version }, 'a setting was changed'),
  );
  return settings;
};

/** N2. False when the signal aborted before. */
export const isReadyFor = async (settings: Settings, signal: AbortSignal): Promise<boolean> => {
  if (settings.isReady()) return true;
  let over!: () => void;
  const aborted = new Promise<void>((resolve) => {
    over = resolve;
  });
  signal.addEventListener('abort', over, { once: true });
  if (signal.aborted) over();
  await Promise.race([settings.ready, aborted]);
  signal.removeEventListener('abort', over);
  return !signal.aborted;
};
