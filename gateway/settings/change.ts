// Changing a setting.
//
// C1. Optimistic, and decided by the log: the change names the version that it replaces, and is appended; what became of it is read back. Of several that replace
// one version, in any number of gateways, one counts. C2. What is so already is answered as done, whatever version was expected (RFC 9110, 13.1.1): a change
// whose answer was lost can be sent again. C3. What is answered has been read back here, so it holds in this process; in others within a second.
import canonicalize from 'canonicalize';
import { outcomeOf, type Registry, versionOf } from '../../processors/settings/index.js';
import {
  CONFIG,
  CONFIG_KEYS,
  CONFIG_LOG_KEY,
  CONFIG_VALUE_LIMIT_BYTES,
  type ConfigChanged,
  type ConfigKey,
  NO_PROJECT,
  newId,
} from '../../schemas/index.js';
import { outgoing } from '../../streams/index.js';
import type { Requester } from '../commands.js';
import { fromZod, invalid, refuse } from '../problem.js';
import { saidEvent } from '../said.js';
import type { Services } from '../services.js';
import { type Expected, etagOf } from './etag.js';

/** Tries of a change that takes whatever is there, while others are faster. */
const TRIES = 20;

export interface Wish {
  readonly key: ConfigKey;
  /** null: what servers.yaml says, or what is built in. */
  readonly value: ConfigChanged['value'];
  readonly expected: Expected;
  readonly by: string;
  readonly reason: string | undefined;
  readonly rolledBackTo?: number;
  readonly requester: Requester;
}

/** The value as it is written: checked, with its defaults. @throws Fault `validation_failed` */
export const checkedValue = (key: ConfigKey, given: unknown): ConfigChanged['value'] => {
  if (given === null) return null;
  const { data, error } = CONFIG_KEYS[key].schema.safeParse(given);
  if (error !== undefined) throw fromZod(error);
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes > CONFIG_VALUE_LIMIT_BYTES)
    throw invalid([{ path: [], message: `has ${bytes} bytes as JSON; a setting has at most ${CONFIG_VALUE_LIMIT_BYTES}` }]);
  return data as ConfigChanged['value'];
};

/** C2. */
const isSo = (registry: Registry, { key, value }: Wish): boolean => {
  const before = registry.keys.get(key)?.at(-1);
  if (before === undefined) return value === null;
  return canonicalize(before.value) === canonicalize(value);
};

const changedMeanwhile = (key: ConfigKey, version: number) =>
  refuse(
    'precondition_failed',
    `"${key}" is at version ${version}, which is not what If-Match expects; read it again, make the change from that, and send it with If-Match: ${etagOf(version)}`,
  );

const eventOf = (services: Services, wish: Wish, replaces: number) => {
  const { key, value, by, reason, rolledBackTo, requester } = wish;
  const data: ConfigChanged = { key, version: replaces + 1, replaces, value, by };
  if (reason !== undefined) data.reason = reason;
  if (rolledBackTo !== undefined) data.rolled_back_to = rolledBackTo;
  return saidEvent(services, 'dats.config.changed', key, data, { projectId: NO_PROJECT, by, eventId: newId(), requester });
};

/** Every edge node has the settings of the core: one that changed its own would fold another registry. */
const refuseAtEdge = ({ nodes }: Services['deps']): void => {
  if (nodes?.core === undefined || nodes.core.id === nodes.self) return;
  throw refuse(
    'settings_at_core',
    `settings are changed at the core (${nodes.core.url}); this node, "${nodes.self}", gets them from there`,
  );
};

/** @returns whether a version was made. @throws Fault `settings_at_core`, `precondition_failed`, and those of the log */
export const changeSetting = async (services: Services, wish: Wish, signal: AbortSignal): Promise<boolean> => {
  refuseAtEdge(services.deps);
  const { settings, log } = services.deps;
  const { key, expected } = wish;
  for (let tries = 0; tries < TRIES; tries++) {
    await settings.caughtUp(signal);
    const replaces = versionOf(settings.registry(), key);
    if (isSo(settings.registry(), wish)) return false;
    if (expected !== 'any' && !expected.has(replaces)) throw changedMeanwhile(key, replaces);
    const event = eventOf(services, wish, replaces);
    await log.append([outgoing(CONFIG, event, CONFIG_LOG_KEY)]);
    await settings.caughtUp(signal);
    if (outcomeOf(settings.registry(), { id: event.id, key, version: replaces + 1 }) !== undefined) return true;
  }
  throw refuse('unavailable', `"${key}" is being changed by others all the time; try again`);
};
