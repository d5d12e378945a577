// From error to answer. HTTP status numbers are here and in problem-kinds.ts, nowhere else.
//
// P1. Every error leaves as RFC 9457 problem+json whose `type` is `/problems/<slug>`; GET on it explains the problem. P2. Bad input is never a 5xx.
// P3. An error that nobody classified is a 500 that says nothing about its cause; the cause goes to the log under the correlation id.

import { z } from 'zod';
import { Fault, type Problem, toFault } from '../schemas/index.js';
import { PROBLEMS, type ProblemCode, type ProblemKind } from './problem-kinds.js';

export { PROBLEMS, type ProblemCode };

/** Success statuses, so that no route names a number. */
export const STATUS = { ok: 200, accepted: 202, noContent: 204, found: 302, notModified: 304, unavailable: 503 } as const;
export type SuccessStatus = (typeof STATUS)[keyof typeof STATUS];

/** What a route that asks the log and the views can answer besides its own problems. */
export const READ_PROBLEMS = [
  'log_unavailable',
  'views_unavailable',
  'views_behind',
  'unavailable',
  'decided_elsewhere',
  'task_on_its_way',
] as const satisfies readonly ProblemCode[];

export const slugOf = (code: string): string => code.replaceAll('_', '-');
export const problemBySlug = (slug: string): (ProblemKind & { readonly code: string }) | undefined => {
  const code = slug.replaceAll('-', '_');
  return Object.hasOwn(PROBLEMS, code) ? { ...PROBLEMS[code as ProblemCode], code } : undefined;
};

/** A fault of this table: retryable where its status says that waiting helps. */
export const refuse = (code: ProblemCode, message: string, cause?: unknown): Fault =>
  new Fault('retryAfterS' in PROBLEMS[code] ? 'retryable' : 'terminal', code, message, { cause });

export interface Misfit {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A body that does not fit, with each place. */
export const invalid = (misfits: readonly Misfit[]): Fault =>
  fromZod(new z.ZodError(misfits.map(({ path, message }) => ({ code: 'custom', path: [...path], message, input: undefined }))));

/** Longest list of `errors` in a problem. */
const ERRORS_LIMIT = 50;

const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const errorsOf = (error: z.ZodError): { pointer: string; detail: string }[] => {
  const errors: { pointer: string; detail: string }[] = [];
  for (const issue of error.issues) {
    if (errors.length >= ERRORS_LIMIT) break;
    if (issue.code === 'unrecognized_keys')
      for (const key of issue.keys.slice(0, ERRORS_LIMIT))
        errors.push({ pointer: pointerOf([...issue.path, key]), detail: 'unknown field' });
    else errors.push({ pointer: pointerOf(issue.path), detail: issue.message });
  }
  return errors;
};

/** @param code `validation_failed` for bodies, `invalid_parameter` for everything in the address and the headers. */
export const fromZod = (error: z.ZodError, code: 'validation_failed' | 'invalid_parameter' = 'validation_failed'): Fault => {
  const [first] = errorsOf(error);
  const more = error.issues.length - 1;
  const detail = first === undefined ? 'the input does not fit' : `${first.pointer || '(root)'}: ${first.detail}`;
  return new Fault('terminal', code, `${detail}${more > 0 ? ` (and ${more} more, see errors)` : ''}`, { cause: error });
};

const codeFor = (fault: Fault): ProblemCode => {
  if (Object.hasOwn(PROBLEMS, fault.code)) return fault.code as ProblemCode;
  if (fault.code === 'unexpected') return 'internal';
  return fault.kind === 'retryable' || fault.kind === 'fenced' ? 'unavailable' : 'internal';
};

export interface ProblemAnswer {
  readonly problem: Problem;
  /** Retry-After, seconds. */
  readonly retryAfterS: number | undefined;
}

/** Any thrown thing as a problem. */
export const problemOf = (error: unknown, correlationId: string, instance?: string): ProblemAnswer => {
  const fault = error instanceof z.ZodError ? fromZod(error) : toFault(error);
  const code = codeFor(fault);
  const kind: ProblemKind = PROBLEMS[code];
  const problem: Problem = {
    type: `/problems/${slugOf(code)}`,
    title: kind.title,
    status: kind.status,
    detail:
      code === 'internal'
        ? `the server failed while answering; its log holds the cause under correlation id ${correlationId}`
        : fault.message,
    correlation_id: correlationId,
    retryable: fault.kind === 'retryable' && code !== 'internal',
  };
  if (instance !== undefined) problem.instance = instance;
  if (fault.cause instanceof z.ZodError) problem.errors = errorsOf(fault.cause);
  const retryAfterS = fault.retryAfterMs === undefined ? kind.retryAfterS : Math.max(1, Math.ceil(fault.retryAfterMs / 1000));
  return { problem, retryAfterS };
};

/** Would trying the same again soon help, with nothing wrong about the request? True for what is answered 503. */
export const isOutage = (error: unknown): boolean => PROBLEMS[codeFor(toFault(error))].status === PROBLEMS.unavailable.status;

/** Our failure. What an installation is not set up for is none. */
export const isServerError = (status: number): boolean => status >= 500 && status !== PROBLEMS.analytics_off.status;
