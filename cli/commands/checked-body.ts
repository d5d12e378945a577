// A body checked with the server's own schema before it is sent: a slip costs no call.
import type { z } from 'zod';
import { badUsage } from '../exit.js';
import { problemsOf } from '../submission.js';

/** The body as it is to be sent: without fields that are undefined. @param flags field of the body -> how it is called on the command line. @throws Fault `bad_usage` */
export const checkedBody = <S extends z.ZodType>(schema: S, body: z.input<S>, flags: Readonly<Record<string, string>>): z.input<S> => {
  const given = Object.fromEntries(Object.entries(body as object).filter(([, value]) => value !== undefined)) as z.input<S>;
  const problems = problemsOf(given, (path) => flags[path] ?? flags[path.split('/')[0]!] ?? path, schema);
  if (problems.length > 0) throw badUsage(problems.join('\n'));
  return given;
};
