// What a model is chosen by, as data: weights, rules, and who may use what. How it is applied: models/choose.ts.
import { z } from 'zod';
import { PURPOSES } from './model-choice.js';
import { nodeIdSchema } from './node.js';
import { DOMAINS, projectIdSchema } from './task.js';
import { TIERS } from './topics.js';

/** A model's id, or a pattern with `*`: `ollama-*`. */
const patternSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9*][A-Za-z0-9*._:/-]*$/, 'a model id, or a pattern with "*" such as ollama-*');

/**
 * Points that a feature adds to a candidate's score; the candidate with the fewest points of the nearest tier answers. `preference` of the model itself is
 * added as it stands.
 */
export const weightsSchema = z.strictObject({
  /** For each full load: all slots taken and none waiting is 1. */
  load: z.number().min(0).default(20),
  /** For an error rate of 1. */
  errors: z.number().min(0).default(100),
  /** For each second to the first chunk. */
  latency: z.number().min(0).default(1),
  /** Where the model must be loaded first. */
  cold: z.number().min(0).default(5),
  /** For a graphics processor that is busy all the time. */
  gpu: z.number().min(0).default(10),
  /** For each USD a million tokens. */
  cost: z.number().min(0).default(0),
});
export type Weights = z.infer<typeof weightsSchema>;

/**
 * "GPU above 80 %: to the cloud." A rule holds for the asks that `for` names. With `watch` it moves work away from the models that are over a threshold,
 * while they are; without, it always holds. `to` says where the work goes: those are preferred. Where none of them can answer the work stays where it was,
 * unless the rule is `strict`.
 */
export const routingRuleSchema = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z0-9][a-z0-9-]*$/, 'small letters, digits and "-"'),
  for: z
    .strictObject({
      projects: z.array(projectIdSchema).min(1).optional(),
      tiers: z.array(z.enum(TIERS)).min(1).optional(),
      domains: z.array(z.enum(DOMAINS)).min(1).optional(),
      purposes: z.array(z.enum(PURPOSES)).min(1).optional(),
    })
    .default({}),
  watch: z
    .strictObject({
      models: z.array(patternSchema).min(1),
      gpu_above: z.number().min(0).max(1).optional(),
      errors_above: z.number().min(0).max(1).optional(),
      load_above: z.number().min(0).optional(),
      latency_above_ms: z.number().min(0).optional(),
      /** Back again below this part of the threshold, so that work does not flutter. */
      back_below: z.number().min(0).max(1).default(0.75),
    })
    .optional(),
  to: z.array(patternSchema).min(1),
  strict: z.boolean().default(false),
});
export type RoutingRule = z.infer<typeof routingRuleSchema>;

export const routingConfigSchema = z
  .strictObject({
    /** Below this confidence of the cheap signals a model is asked; 0 never asks. */
    ask_model_below: z.number().min(0).max(1).default(0.4),
    weights: weightsSchema.prefault({}),
    rules: z.array(routingRuleSchema).max(100).default([]),
  })
  .superRefine(({ rules }, ctx) => {
    const seen = new Set<string>();
    rules.forEach(({ name, watch }, i) => {
      if (seen.has(name))
        ctx.addIssue({ code: 'custom', path: ['rules', i, 'name'], message: `"${name}" is used twice; names of rules must be unique` });
      seen.add(name);
      const { gpu_above, errors_above, load_above, latency_above_ms } = watch ?? {};
      if (watch !== undefined && [gpu_above, errors_above, load_above, latency_above_ms].every((threshold) => threshold === undefined))
        ctx.addIssue({
          code: 'custom',
          path: ['rules', i, 'watch'],
          message: 'says what to watch but not when; add gpu_above, errors_above, load_above or latency_above_ms',
        });
    });
  });
export type RoutingConfig = z.infer<typeof routingConfigSchema>;

const listsShape = {
  /** Only these; empty: every model. */
  allow: z.array(patternSchema).max(1_000).default([]),
  /** Never these, whatever `allow` says. */
  block: z.array(patternSchema).max(1_000).default([]),
  /** Nodes whose models may see what is confidential; absent: those of every node that keep it in the building. */
  confidential_nodes: z.array(nodeIdSchema).max(256).optional(),
};

/** Which models may be used, and in which projects. A project's own lists hold beside the general ones: a model must pass both; its
 * `confidential_nodes` take the place of the general ones. */
export const accessConfigSchema = z.strictObject({
  ...listsShape,
  projects: z.record(projectIdSchema, z.strictObject(listsShape)).default({}),
});
export type AccessConfig = z.infer<typeof accessConfigSchema>;
