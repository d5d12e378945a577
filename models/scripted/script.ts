// The file of a scripted runner (YAML or JSON): rules that find an answer, and recorded answers. Written by people, so errors name the place.
import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { Fault, pathSchema, TIERS } from '../../schemas/index.js';

/** Failures to order. */
export const FAILS = [
  'hang', // says its text, then nothing until the idle time ends the call
  'garbage', // a stream that is not the protocol
  'refuse',
  'die_mid_stream', // half of its text, then the connection is lost
  'unreachable',
  'error',
  'overloaded', // with retry_after_ms
  'reject',
  'missing',
  'too_long', // the prompt does not fit
] as const;
export type Fail = (typeof FAILS)[number];

/** Larger scripts are refused: they are read into memory whole. */
export const LARGEST_SCRIPT_BYTES = 32 * 1024 * 1024;
/** Longest wait a script may order, in milliseconds. */
const LONGEST_LATENCY_MS = 600_000;

const millis = z.number().min(0).max(LONGEST_LATENCY_MS);
/** Fixed, or anything between two bounds. */
const latencySchema = z.union([millis, z.tuple([millis, millis]).refine(([low, high]) => low <= high, 'the lower bound comes first')]);

const isRegex = (text: string): boolean => {
  try {
    return new RegExp(text, 'su') instanceof RegExp;
  } catch {
    return false;
  }
};

const answerSchema = z.strictObject({
  /** Said first; comments may stand in it beside fenced files. */
  text: z.string().optional(),
  /** Files, written after the text in the house's answer format. */
  files: z
    .array(
      z.strictObject({
        path: pathSchema,
        language: z
          .string()
          .regex(/^[\w+-]*$/)
          .default(''),
        content: z.string(),
      }),
    )
    .max(200)
    .optional(),
  /** Calls of tools, after the text; `arguments` is written as JSON, a text as it is. */
  tool_calls: z
    .array(
      z.strictObject({ name: z.string().min(1).max(128), arguments: z.union([z.record(z.string(), z.unknown()), z.string()]).default({}) }),
    )
    .max(64)
    .optional(),
  fail: z.enum(FAILS).optional(),
  retry_after_ms: millis.optional(),
  /** Before the first chunk. */
  latency_ms: latencySchema.default(0),
  /** Before each further chunk. */
  chunk_latency_ms: latencySchema.default(0),
  /** Characters in a chunk. */
  chunk_chars: z.int().min(1).max(1_000_000).default(512),
  /** What the answer says it used; default: estimated from the lengths. */
  tokens: z.strictObject({ input: z.int().min(0).optional(), output: z.int().min(0).optional() }).optional(),
  /** Default: `tool_calls` where it has some, else `stop`. */
  finish_reason: z.enum(['stop', 'length', 'tool_calls', 'other']).optional(),
});
export type ScriptedAnswer = z.infer<typeof answerSchema>;

const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)]);

const matchSchema = z
  .strictObject({
    /** The hint `task`, or a marker `[script:NAME]` anywhere in the prompt. */
    task: oneOrMore(z.string().min(1)).optional(),
    purpose: oneOrMore(z.string().min(1)).optional(),
    tier: oneOrMore(z.enum(TIERS)).optional(),
    attempt: oneOrMore(z.int().min(0)).optional(),
    /** Text that stands in the prompt, exactly so. */
    contains: oneOrMore(z.string().min(1)).optional(),
    /** A JavaScript regular expression over the prompt; `.` matches line ends too. */
    regex: z.string().min(1).refine(isRegex, 'is not a regular expression').optional(),
  })
  .prefault({});
export type Match = z.infer<typeof matchSchema>;

const ruleSchema = z
  .strictObject({
    /** For people. */
    note: z.string().optional(),
    match: matchSchema,
    /** By attempt: the first for attempt 1 (and 0), the second for attempt 2; the last one repeats. */
    answers: z.array(answerSchema).min(1).optional(),
    /** By tier; a tier without one takes the nearest lower tier's, then the nearest higher. */
    by_tier: z.partialRecord(z.enum(TIERS), answerSchema).optional(),
  })
  .superRefine((rule, ctx) => {
    const tiers = Object.keys(rule.by_tier ?? {}).length;
    if ((rule.answers === undefined) === (tiers === 0)) ctx.addIssue({ code: 'custom', message: 'needs either `answers` or `by_tier`' });
  });
export type Rule = z.infer<typeof ruleSchema>;

const scriptSchema = z.strictObject({
  version: z.literal(1),
  /** The first rule that matches answers. */
  rules: z.array(ruleSchema).max(10_000),
});
export type Script = z.infer<typeof scriptSchema>;

const badScript = (where: string, what: string): Fault => new Fault('fatal', 'bad_script', `script ${where}: ${what}`);

const placeOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((s, p) => s + (typeof p === 'number' ? `[${p}]` : `.${String(p)}`), '').slice(1);

/**
 * Checks a script. `name` stands in messages: the file.
 * @throws Fault `bad_script` with every wrong place, what is wrong there and what it must be.
 */
export const parseScript = (value: unknown, name: string): Script => {
  const result = scriptSchema.safeParse(value);
  if (result.success) return result.data;
  const wrong = result.error.issues.map(({ path, message }) => `${placeOf(path) || 'the whole file'}: ${message}`);
  throw badScript(name, `${wrong.join('; ')}. Correct these places; models/README.md shows the format`);
};

/** @throws Fault `bad_script`: not there, too large, not YAML or JSON, or not a script. */
export const loadScript = async (file: string): Promise<Script> => {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new Fault(
      'fatal',
      'bad_script',
      `script ${file}: cannot be read (${code}); correct \`script\` in servers.yaml, or put the file there`,
      { cause },
    );
  }
  if (text.length > LARGEST_SCRIPT_BYTES) throw badScript(file, `larger than ${LARGEST_SCRIPT_BYTES} bytes; split it over several models`);
  // JSON is YAML.
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const at = error.linePos?.[0];
    throw badScript(file, `${at ? `line ${at.line}, column ${at.col}: ` : ''}not YAML (${error.code}); correct the line`);
  }
  return parseScript(document.toJS({ maxAliasCount: 100 }), file);
};
