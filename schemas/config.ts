// What can be changed while the system runs: the keys of the configuration registry, what their values are, and the event that changes one.
//
// C1. A value replaces the whole section of servers.yaml (or the built-in system message); null gives it back. C2. The event takes any key and any object:
// what a newer build wrote stays readable here, and whether a value fits is asked of `CONFIG_KEYS` by whoever uses it. C3. A value is written whole, with its
// defaults filled in: what held under a version does not change when a default does.
import { z } from 'zod';
import { quotasConfigSchema } from './quota.js';
import { accessConfigSchema, routingConfigSchema } from './routing-config.js';
import { flagsConfigSchema, pricesConfigSchema, schedulingConfigSchema } from './servers.js';

/** Sections of servers.yaml. */
export const CONFIG_SECTIONS = ['routing', 'access', 'quotas', 'flags', 'scheduling', 'prices'] as const;
export type ConfigSection = (typeof CONFIG_SECTIONS)[number];

export const PROMPT_NAMES = ['generate', 'analyse', 'decompose'] as const;
export type PromptName = (typeof PROMPT_NAMES)[number];
type PromptKey = `prompts.${PromptName}`;
export type ConfigKey = ConfigSection | PromptKey;

export const promptKey = (name: PromptName): PromptKey => `prompts.${name}`;
/** Every key there is. */
export const CONFIG_KEY_NAMES: readonly ConfigKey[] = [...CONFIG_SECTIONS, ...PROMPT_NAMES.map(promptKey)];
export const isConfigKey = (key: string): key is ConfigKey => (CONFIG_KEY_NAMES as readonly string[]).includes(key);

const PROMPT_LIMIT_BYTES = 32 * 1024;
/** Of one value, as JSON. */
export const CONFIG_VALUE_LIMIT_BYTES = 256 * 1024;

export const promptSchema = z.strictObject({
  /** In place of the built-in system message. */
  system: z
    .string()
    .min(1)
    .refine((text) => Buffer.byteLength(text) <= PROMPT_LIMIT_BYTES, `a system message has at most ${PROMPT_LIMIT_BYTES} bytes`),
});
export type Prompt = z.infer<typeof promptSchema>;

export interface ConfigKeyKind {
  readonly schema: z.ZodType<object>;
  /** One line for people. */
  readonly description: string;
}

/** What the value of each key is. */
export const CONFIG_KEYS: Readonly<Record<ConfigKey, ConfigKeyKind>> = {
  routing: { schema: routingConfigSchema, description: 'how models are chosen: weights, rules, and when a model analyses a task' },
  access: { schema: accessConfigSchema, description: 'which models may be used, and in which projects' },
  quotas: { schema: quotasConfigSchema, description: 'how much projects, users, agents and single tasks may use' },
  flags: { schema: flagsConfigSchema, description: 'what is turned on' },
  scheduling: { schema: schedulingConfigSchema, description: 'how many tasks of a project run at a time, time limits, attempts, waits' },
  prices: { schema: pricesConfigSchema, description: 'what tokens cost' },
  'prompts.generate': { schema: promptSchema, description: 'the system message of whoever writes files' },
  'prompts.analyse': { schema: promptSchema, description: 'the system message of whoever says what a task is' },
  'prompts.decompose': { schema: promptSchema, description: 'the system message of whoever splits a task' },
};

/** Why and by whom something was changed. */
export const configReasonSchema = z.string().min(1).max(1_000);
export const configAuthorSchema = z.string().min(1).max(128);

/**
 * A change that somebody wants. It counts where `replaces` is the key's version when the log has it; else another change was first, and this one is void.
 */
export const configChanged = z.object({
  key: z.string().min(1).max(128),
  /** Of this key, from 1; one above what it replaces. */
  version: z.int().min(1),
  /** The version of the key that it was made from; 0: what servers.yaml says, or what is built in. */
  replaces: z.int().min(0),
  /** null: back to servers.yaml, or to what is built in. */
  value: z.record(z.string(), z.unknown()).nullable(),
  by: configAuthorSchema,
  reason: configReasonSchema.optional(),
  /** The version whose value it brings back. */
  rolled_back_to: z.int().min(0).optional(),
});
export type ConfigChanged = z.infer<typeof configChanged>;
