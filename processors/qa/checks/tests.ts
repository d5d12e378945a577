// Do the task's tests pass on what the attempt produced? The only check that runs generated code; it does so in the sandbox.
//
// Passed means: exit code 0, and the run came to its end (test-plan.ts). A task's own `command` is judged by its exit code alone.
import { randomUUID } from 'node:crypto';
import { type CheckResult, Fault } from '../../../schemas/index.js';
import type { Check, CheckInput, LoadedFile } from '../check.js';
import type { SandboxLimits } from '../sandbox/sandbox.js';
import { explain, withoutHostPaths } from './explain.js';
import { bounded } from './results.js';
import { runChecker } from './syntax-python.js';
import { isTestFile, mergedFiles, type TestPlan } from './test-plan.js';
import { planPython } from './tests-python.js';
import { outputPath, type Prepared, planScript } from './tests-script.js';

type Tests = NonNullable<CheckInput['tests']>;

const DEFAULT_PATH: Readonly<Record<Tests['language'], string>> = {
  python: 'test_solution.py',
  javascript: 'solution.test.mjs',
  typescript: 'solution.test.ts',
};
const PROGRAMS: Readonly<Record<string, string>> = { python3: 'python3', python: 'python3', node: 'node' };

/** @throws Fault terminal `unsupported_command`. */
function ownCommand(command: string): readonly string[] {
  const [program = '', ...args] = command.trim().split(/\s+/);
  const known = Object.hasOwn(PROGRAMS, program) ? PROGRAMS[program] : undefined;
  if (known === undefined)
    throw new Fault(
      'terminal',
      'unsupported_command',
      `The test command begins with "${program.slice(0, 100)}": only python3 and node can be run in the sandbox.`,
    );
  return [known, ...args];
}

async function prepare(input: CheckInput, tests: Tests): Promise<Prepared> {
  const mark = randomUUID();
  const path = tests.path ?? DEFAULT_PATH[tests.language];
  const files = mergedFiles(input.files, input.artifacts);
  const sources = input.artifacts.filter((file) => !isTestFile(file.path));
  const entryPoint = tests.entry_point;
  const prepared: Prepared =
    tests.language === 'python'
      ? { plan: planPython(files, sources, { path, code: tests.code, entryPoint }, mark) }
      : await planScript(files, sources, { path, code: tests.code, language: tests.language, entryPoint }, mark);
  if ('mistake' in prepared || tests.command === undefined) return prepared;
  const typescript = tests.language === 'typescript';
  const command = ownCommand(tests.command).map((word) => (typescript ? outputPath(word) : word));
  return { plan: { ...prepared.plan, command, mark: undefined } };
}

const EARLY =
  'the program ended before the tests were through (it called exit, or the event loop ran empty while something was still awaited)';

async function judge(
  plan: TestPlan,
  name: string,
  started: number,
  ports: Parameters<Check['run']>[1],
  limits: SandboxLimits,
  signal: AbortSignal,
): Promise<CheckResult> {
  const stdin = plan.mark === undefined ? undefined : `${plan.mark}\n`;
  const result = await runChecker(
    ports,
    { command: plan.command, files: plan.files, limits, ...(stdin === undefined ? {} : { stdin }) },
    signal,
  );
  const duration_ms = performance.now() - started;
  const through = plan.mark === undefined || result.stdout.includes(`\n${plan.mark}\n`);
  const clean = result.code === 0 && result.limit === null;
  if (clean && through) return { name, status: 'passed', duration_ms };
  if (clean && result.truncated)
    return {
      name,
      status: 'failed',
      detail: `the tests: printed so much that their end was not seen; print less (limit ${limits.output_bytes} bytes)`,
      duration_ms,
    };
  const stdout = plan.mark === undefined ? result.stdout : result.stdout.replaceAll(plan.mark, '');
  const cleaned = { ...result, stdout };
  if (clean)
    return {
      name,
      status: 'failed',
      detail: bounded(`the tests: ${EARLY}\n${withoutHostPaths(result.stderr.trim())}`.trim()),
      duration_ms,
    };
  return { name, status: 'failed', detail: explain(cleaned, limits, 'the tests'), duration_ms };
}

const hasSource = (files: readonly LoadedFile[]): boolean =>
  files.some((f) => f.type === 'python' || f.type === 'javascript' || f.type === 'typescript');

export const tests: Check = {
  name: 'tests',
  profiles: ['tests'],
  applies: () => true,
  async run(input, ports, signal) {
    const started = performance.now();
    if (input.tests === undefined)
      return [{ name: 'tests', status: 'skipped', detail: 'the task brought no tests; only the syntax was checked', duration_ms: 0 }];
    const name = `tests:${input.tests.language}`;
    const failed = (detail: string): readonly CheckResult[] => [
      { name, status: 'failed', detail: bounded(detail), duration_ms: performance.now() - started },
    ];
    if (!hasSource(input.artifacts)) return failed('the answer holds no Python, JavaScript or TypeScript file that could be tested');
    const prepared = await prepare(input, input.tests);
    if ('mistake' in prepared) return failed(prepared.mistake);
    const timeout = input.tests.timeout_s === undefined ? ports.limits.timeout_ms : input.tests.timeout_s * 1000;
    return [await judge(prepared.plan, name, started, ports, { ...ports.limits, timeout_ms: timeout }, signal)];
  },
};
