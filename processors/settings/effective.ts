// What holds, of servers.yaml, what is built in, and the registry. Pure.
//
// E1. A key's newest value holds. Where it does not fit the schema of this build (a newer one wrote it), the newest one that fits does; none: servers.yaml.
import {
  CONFIG_KEYS,
  CONFIG_SECTIONS,
  type ConfigKey,
  type ConfigSection,
  PROMPT_NAMES,
  type Prompt,
  type PromptName,
  promptKey,
  type Servers,
} from '../../schemas/index.js';
import type { Change, Registry } from './fold.js';

/** What the first values are. */
export interface Base {
  /** Digest of servers.yaml: the version where nothing was changed. */
  readonly digest: string;
  readonly servers: Pick<Servers, ConfigSection>;
  /** The built-in system messages. */
  readonly prompts: Readonly<Record<PromptName, string>>;
}

export interface Effective extends Pick<Servers, ConfigSection> {
  /** `configversion` of what is decided under it: `<digest>`, or `<digest>+<changes>`. */
  readonly version: string;
  /** What is in place of the built-in system messages, with the version of its key. */
  readonly prompts: Readonly<Partial<Record<PromptName, Prompt & { readonly version: number }>>>;
}

/** How many changes a `configversion` knows of. */
export const changesIn = (configversion: string): number => Number(/\+(\d{1,15})$/.exec(configversion)?.[1] ?? 0);

const versionText = (digest: string, changes: number): string => (changes === 0 ? digest : `${digest}+${changes}`);

/** What is said in servers.yaml, or built in. */
export const baseValue = ({ servers, prompts }: Base, key: ConfigKey): object => {
  const prompt = PROMPT_NAMES.find((name) => promptKey(name) === key);
  return prompt === undefined ? servers[key as ConfigSection] : { system: prompts[prompt] };
};

/** The value that a change gives its key; null: the first one. Undefined where it does not fit this build. */
export const valueIn = (key: ConfigKey, { value }: Pick<Change, 'value'>): object | null | undefined =>
  value === null ? null : CONFIG_KEYS[key].schema.safeParse(value).data;

/** The newest change of a key whose value fits, among the first `changes`; undefined: the first value holds. */
const holding = (
  registry: Registry,
  key: ConfigKey,
  changes: number,
): { readonly change: Change; readonly value: object | null } | undefined => {
  const versions = registry.keys.get(key) ?? [];
  for (let i = versions.length - 1; i >= 0; i--) {
    const change = versions[i]!;
    if (change.number > changes) continue;
    const value = valueIn(key, change);
    if (value !== undefined) return { change, value };
  }
  return undefined;
};

/** The version of a key whose value holds. */
export const holdingVersion = (registry: Registry, key: ConfigKey): number =>
  holding(registry, key, registry.changes.length)?.change.version ?? 0;

/** What holds after the first `changes` of the registry. */
export const effectiveOf = (base: Base, registry: Registry, changes: number): Effective => {
  const effective: Record<string, unknown> = { version: versionText(base.digest, changes) };
  for (const section of CONFIG_SECTIONS) effective[section] = holding(registry, section, changes)?.value ?? base.servers[section];
  const prompts: Record<string, unknown> = {};
  for (const name of PROMPT_NAMES) {
    const held = holding(registry, promptKey(name), changes);
    if (held !== undefined && held.value !== null) prompts[name] = { ...held.value, version: held.change.version };
  }
  effective['prompts'] = prompts;
  return effective as unknown as Effective;
};
