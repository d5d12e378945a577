// What does not fit a request, as OpenAI says it: one place, by the name its documentation gives it.
import { z } from 'zod';
import { Fault } from '../../schemas/index.js';
import { REFUSED } from './parameters.js';

export interface Misfit {
  readonly message: string;
  /** `messages[0].content`; null: the body as a whole. */
  readonly param: string | null;
  readonly code: string;
}

const paramOf = (path: readonly PropertyKey[]): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`)).join('');

/** Codes beside `invalid_value`, carried by custom issues. */
export type MisfitCode = 'invalid_value' | 'unsupported_value' | 'missing_required_parameter';

/** For checks that a schema cannot say. */
export const unfit = (path: readonly PropertyKey[], message: string, code: MisfitCode = 'invalid_value'): Fault =>
  new Fault('terminal', 'validation_failed', message, {
    cause: new z.ZodError([{ code: 'custom', path: [...path], message, input: undefined, params: { code } }]),
  });

/** Of a union's branches the one that fits the longest way says what is wrong. */
const deepest = (issue: z.core.$ZodIssue): z.core.$ZodIssue => {
  if (issue.code !== 'invalid_union') return issue;
  let best: z.core.$ZodIssue | undefined;
  for (const [first] of issue.errors) {
    if (first === undefined) continue;
    const inner = deepest({ ...first, path: [...issue.path, ...first.path] });
    if (inner.path.length > Math.max(issue.path.length, best?.path.length ?? 0)) best = inner;
  }
  return best ?? issue;
};

const MOST_SHOWN = 64;
const shown = (name: string): string => (name.length > MOST_SHOWN ? `${name.slice(0, MOST_SHOWN)}...` : name);

const unknown = (path: readonly PropertyKey[], keys: readonly string[]): Misfit => {
  const known = path.length === 0 ? keys.find((key) => Object.hasOwn(REFUSED, key)) : undefined;
  const key = known ?? keys[0] ?? '';
  const param = paramOf([...path, shown(key)]);
  if (known !== undefined) return { message: `${param}: ${REFUSED[known]}`, param, code: 'unsupported_parameter' };
  const more = keys.length > 1 ? ` (and ${keys.length - 1} more)` : '';
  return { message: `unknown parameter: ${param}${more}; leave it out, or see /docs for what there is`, param, code: 'unknown_parameter' };
};

/** The first thing that is wrong. */
export const misfitOf = (error: z.ZodError): Misfit => {
  const issue = deepest(error.issues[0]!);
  if (issue.code === 'unrecognized_keys') return unknown(issue.path, issue.keys);
  const param = issue.path.length === 0 ? null : paramOf(issue.path);
  const [name] = issue.path;
  if (typeof name === 'string' && Object.hasOwn(REFUSED, name))
    return { message: `${param}: ${REFUSED[name]}`, param, code: 'unsupported_parameter' };
  const custom = issue.code === 'custom' && typeof issue.params?.code === 'string' ? issue.params.code : undefined;
  const missing = issue.code === 'invalid_type' && issue.input === undefined && issue.message.endsWith('received undefined');
  const code = custom ?? (missing ? 'missing_required_parameter' : 'invalid_value');
  return { message: `${param ?? 'the body'}: ${missing ? 'is missing' : issue.message}`, param, code };
};
