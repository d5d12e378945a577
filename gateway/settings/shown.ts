// Settings as the API shows them. Pure.
import {
  type Base,
  baseValue,
  type Change,
  holdingVersion,
  type Registry,
  type Settings,
  valueIn,
  versionOf,
} from '../../processors/settings/index.js';
import {
  CONFIG_KEY_NAMES,
  CONFIG_KEYS,
  type ConfigEntry,
  type ConfigKey,
  type ConfigList,
  type ConfigValue,
  type ConfigVersions,
  isConfigKey,
  PROMPT_NAMES,
  promptKey,
} from '../../schemas/index.js';
import { refuse } from '../problem.js';

/** @throws Fault `config_key_not_found` */
export const keyOf = (name: string): ConfigKey => {
  if (isConfigKey(name)) return name;
  throw refuse('config_key_not_found', `there is no setting "${name.slice(0, 60)}"; there are ${CONFIG_KEY_NAMES.join(', ')}`);
};

const firstSource = (key: ConfigKey): ConfigEntry['source'] =>
  PROMPT_NAMES.some((name) => promptKey(name) === key) ? 'built-in' : 'servers.yaml';

/** The change that made a version; undefined for 0. @throws Fault `config_version_not_found` */
const changeOf = (registry: Registry, key: ConfigKey, version: number): Change | undefined => {
  const newest = versionOf(registry, key);
  if (version > newest) throw refuse('config_version_not_found', `"${key}" has no version ${version}; its newest is ${newest}`);
  return registry.keys.get(key)?.[version - 1];
};

const changeShown = (change: Change | undefined) => ({
  version: change?.version ?? 0,
  changed_at: change?.time ?? null,
  by: change?.by ?? null,
  reason: change?.reason ?? null,
  rolled_back_to: change?.rolled_back_to ?? null,
});

const sourceOf = (key: ConfigKey, change: Change | undefined): ConfigEntry['source'] =>
  change === undefined || change.value === null ? firstSource(key) : 'registry';

const entryOf = (registry: Registry, key: ConfigKey, change: Change | undefined): ConfigEntry => ({
  key,
  description: CONFIG_KEYS[key].description,
  ...changeShown(change),
  source: sourceOf(key, change),
  holds: holdingVersion(registry, key),
});

/** As it was written, whether it fits this build or not. */
const valueShown = (base: Base, key: ConfigKey, change: Change | undefined) =>
  (change?.value ?? baseValue(base, key)) as ConfigValue['value'];

/** The value of a version; 0: the first one. @throws Fault `config_version_not_found` */
export const valueAt = (settings: Settings, key: ConfigKey, version: number): ConfigValue['value'] =>
  valueShown(settings.base, key, changeOf(settings.registry(), key, version));

/** A version of a key; default: the newest. @throws Fault `config_version_not_found` */
export const settingShown = (settings: Settings, key: ConfigKey, version?: number): ConfigValue => {
  const registry = settings.registry();
  const change = changeOf(registry, key, version ?? versionOf(registry, key));
  return {
    ...entryOf(registry, key, change),
    value: valueShown(settings.base, key, change),
    config_version: settings.current().version,
  };
};

export const settingsShown = (settings: Settings): ConfigList => {
  const registry = settings.registry();
  return {
    config_version: settings.current().version,
    changes: registry.changes.length,
    keys: CONFIG_KEY_NAMES.map((key) => entryOf(registry, key, changeOf(registry, key, versionOf(registry, key)))),
  };
};

export const versionsShown = (settings: Settings, key: ConfigKey): ConfigVersions => {
  const changes: readonly (Change | undefined)[] = [undefined, ...(settings.registry().keys.get(key) ?? [])];
  return {
    key,
    versions: [...changes].reverse().map((change) => ({
      ...changeShown(change),
      source: sourceOf(key, change),
      fits: change === undefined || valueIn(key, change) !== undefined,
    })),
  };
};
