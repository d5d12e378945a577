// The configuration registry over HTTP: what is asked, what is answered.
import { z } from 'zod';
import { configAuthorSchema, configReasonSchema } from './config.js';

export const CONFIG_SOURCES = ['servers.yaml', 'built-in', 'registry'] as const;

const changeShape = {
  version: z.int().min(0),
  changed_at: z.string().nullable(),
  by: z.string().nullable(),
  reason: z.string().nullable(),
  /** The version whose value it brought back. */
  rolled_back_to: z.int().nullable(),
};

/** One key without its value. */
export const configEntrySchema = z.object({
  key: z.string(),
  description: z.string(),
  ...changeShape,
  /** Where the value that holds comes from. */
  source: z.enum(CONFIG_SOURCES),
  /** The version whose value holds: the newest one, but where that fits no schema of this build an older one. */
  holds: z.int().min(0),
});
export type ConfigEntry = z.infer<typeof configEntrySchema>;

export const configListSchema = z.object({
  /** What decisions made now are recorded with. */
  config_version: z.string(),
  /** Changes of all keys so far. */
  changes: z.int().min(0),
  keys: z.array(configEntrySchema),
});
export type ConfigList = z.infer<typeof configListSchema>;

/** One version of a key with its value. null: what servers.yaml says, or what is built in; version 0 shows that. */
export const configValueSchema = configEntrySchema.extend({
  value: z.record(z.string(), z.unknown()),
  config_version: z.string(),
});
export type ConfigValue = z.infer<typeof configValueSchema>;

export const configPutAnswerSchema = configValueSchema.extend({
  /** False: it was so already, and no version was made. */
  changed: z.boolean(),
  /** Names of models that are not there, and what follows. Nothing was refused for it. */
  warnings: z.array(z.string()),
});
export type ConfigPutAnswer = z.infer<typeof configPutAnswerSchema>;

export const configVersionsSchema = z.object({
  key: z.string(),
  /** Newest first. */
  versions: z.array(z.object({ ...changeShape, source: z.enum(CONFIG_SOURCES), fits: z.boolean() })),
});
export type ConfigVersions = z.infer<typeof configVersionsSchema>;

export const configChangeQuerySchema = z.strictObject({
  reason: configReasonSchema.optional().meta({ description: 'Why; it is kept.' }),
  by: configAuthorSchema.optional().meta({ description: 'Who changes it.' }),
});

export const configRollbackSchema = z.strictObject({
  /** The version whose value is to hold again; 0: what servers.yaml says, or what is built in. */
  to: z.int().min(0),
  reason: configReasonSchema.optional(),
  by: configAuthorSchema.optional(),
});

export const configDiffSchema = z.object({
  key: z.string(),
  from: z.int().min(0),
  to: z.int().min(0),
  /** RFC 6901 pointers, in order. `from` is absent where a value came, `to` where one went. */
  changes: z.array(z.object({ pointer: z.string(), from: z.unknown().optional(), to: z.unknown().optional() })),
});
export type ConfigDiff = z.infer<typeof configDiffSchema>;
