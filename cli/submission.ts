// From what was typed to the body of a submission. Everything is checked here first, so that a slip costs no call.
import type { z } from 'zod';
import { languageOf, submitTaskSchema } from '../schemas/index.js';
import type { SubmitBody } from './client/index.js';
import { badUsage } from './exit.js';
import { clip } from './render/index.js';

export interface SubmitFlags {
  readonly fileDescription?: string;
  readonly project?: string;
  readonly priority?: string;
  readonly file?: readonly string[];
  readonly tests?: string;
  readonly entryPoint?: string;
  readonly qa?: string;
  readonly tier?: string;
  readonly model?: string;
  readonly decompose?: boolean;
  readonly dependsOn?: readonly string[];
  readonly input?: readonly string[];
  readonly timeout?: number;
  readonly maxAttempts?: number;
}

export interface Reader {
  read(name: string): string;
  taskPath(name: string): string;
}

/** Fields of the body -> what they are called on the command line. */
const FLAGS: Readonly<Record<string, string>> = {
  description: '<description>',
  project_id: '--project',
  priority: '--priority',
  'options/qa_profile': '--qa',
  'options/tier': '--tier',
  'options/model': '--model',
  'options/timeout_s': '--timeout',
  'options/max_attempts': '--max-attempts',
  depends_on: '--depends-on',
  inputs: '--input',
  files: '--file',
  'tests/entry_point': '--entry-point',
  tests: '--tests',
};

/** The problems of a body, one plain line each, under the names that `nameOf` gives its places. */
export const problemsOf = (body: unknown, nameOf: (path: string) => string, schema: z.ZodType = submitTaskSchema): readonly string[] => {
  const checked = schema.safeParse(body);
  if (checked.success) return [];
  return checked.error.issues.flatMap((issue) => {
    const value = issue.path.reduce<unknown>((here, step) => (here as Record<PropertyKey, unknown> | undefined)?.[step], body);
    const shown = value === undefined || typeof value === 'object' ? '' : `${JSON.stringify(clip(String(value), 60))} `;
    const said =
      issue.code === 'invalid_value' && value !== undefined
        ? `is not one of ${issue.values.join(', ')}`
        : issue.code === 'unrecognized_keys'
          ? `unknown field ${issue.keys.map((key) => `"${key}"`).join(', ')}`
          : issue.message;
    const name = nameOf(issue.path.map(String).join('/'));
    return [`${name === '' ? '' : `${name}: `}${shown}${said}`];
  });
};

/** The flag of a place, or of what it is part of. */
const flagOf = (path: string): string => {
  const parts = path.split('/');
  for (let n = parts.length; n > 0; n--) {
    const flag = FLAGS[parts.slice(0, n).join('/')];
    if (flag !== undefined) return flag;
  }
  return path;
};

const testsOf = (flags: SubmitFlags, reader: Reader): SubmitBody['tests'] => {
  if (flags.tests === undefined) {
    if (flags.entryPoint !== undefined)
      throw badUsage('--entry-point names the function that the tests check; give the tests with --tests <file>');
    return undefined;
  }
  const language = languageOf(flags.tests);
  if (language !== 'python' && language !== 'javascript' && language !== 'typescript')
    throw badUsage(`--tests ${flags.tests}: the language follows from the extension; it must be .py, .js, .mjs, .cjs or .ts`);
  return { language, code: reader.read(flags.tests), ...(flags.entryPoint === undefined ? {} : { entry_point: flags.entryPoint }) };
};

const given = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;

/** @throws Fault `bad_usage` with one line for each problem. */
export const bodyOf = (description: string | undefined, flags: SubmitFlags, reader: Reader): SubmitBody => {
  if ((description === undefined) === (flags.fileDescription === undefined))
    throw badUsage(
      description === undefined
        ? 'what is to be done? Give a description in quotes, or a file with --file-description'
        : 'both a description and --file-description are given; give one of them',
    );
  const body = {
    description: description ?? reader.read(flags.fileDescription!),
    options: given({
      decompose: flags.decompose,
      qa_profile: flags.qa,
      tier: flags.tier,
      model: flags.model,
      timeout_s: flags.timeout,
      max_attempts: flags.maxAttempts,
    }),
    files: (flags.file ?? []).map((name) => ({ path: reader.taskPath(name), content: reader.read(name) })),
    depends_on: flags.dependsOn ?? [],
    inputs: flags.input ?? [],
    ...given({ project_id: flags.project, priority: flags.priority, tests: testsOf(flags, reader) }),
  };
  const problems = problemsOf(body, flagOf);
  if (problems.length > 0) throw badUsage(problems.join('\n'));
  return body as SubmitBody;
};

/** The tasks of a JSON Lines file. @throws Fault `bad_usage` naming each bad line. */
export const bodiesOf = (text: string, name: string): readonly SubmitBody[] => {
  const bodies: SubmitBody[] = [];
  const problems: string[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '') return;
    const place = `${name}:${i + 1}`;
    let body: unknown;
    try {
      body = JSON.parse(line);
    } catch (error) {
      problems.push(`${place}  not JSON: ${(error as Error).message}; one task a line, such as {"description": "..."}`);
      return;
    }
    problems.push(...problemsOf(body, (path) => `${place}  /${path}`));
    bodies.push(body as SubmitBody);
  });
  const LIMIT = 20;
  if (problems.length > 0)
    throw badUsage([...problems.slice(0, LIMIT), ...(problems.length > LIMIT ? [`and ${problems.length - LIMIT} more`] : [])].join('\n'));
  if (bodies.length === 0) throw badUsage(`${name} holds no task; give one JSON object a line, such as {"description": "..."}`);
  return bodies;
};
