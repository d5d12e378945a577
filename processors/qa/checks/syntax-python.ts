// Are the Python files well-formed? Compiled by the real interpreter inside the sandbox, all files in one run; nothing of them is executed.
import { z } from 'zod';
import { Fault, isFault } from '../../../schemas/index.js';
import type { Check, CheckPorts } from '../check.js';
import type { SandboxRequest, SandboxResult } from '../sandbox/sandbox.js';
import { type Mistake, ofType, syntaxResult } from './results.js';

const PROGRAM = `
import json, sys, warnings
warnings.simplefilter('ignore')
mistakes = []
for path, source in json.load(sys.stdin):
    try:
        compile(source, path, 'exec', dont_inherit=True)
    except SyntaxError as e:
        mistakes.append({'path': path, 'line': e.lineno or 1, 'message': (type(e).__name__ + ': ' + str(e.msg))[:300]})
    except (ValueError, RecursionError, MemoryError, OverflowError) as e:
        mistakes.append({'path': path, 'line': 1, 'message': (type(e).__name__ + ': ' + str(e))[:300]})
print(json.dumps(mistakes[:100]))
`;
const answerSchema = z.array(z.object({ path: z.string(), line: z.int().min(1), message: z.string() }));

/** Runs it; a missing interpreter is a missing checker, not a wrong answer. */
export async function runChecker(ports: CheckPorts, request: SandboxRequest, signal: AbortSignal): Promise<SandboxResult> {
  try {
    return await ports.sandbox.run(request, signal);
  } catch (error) {
    if (isFault(error) && error.code === 'program_missing') throw new Fault('terminal', 'checker_missing', error.message, { cause: error });
    throw error;
  }
}

function parseAnswer(text: string): readonly Mistake[] | undefined {
  try {
    return answerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export const syntaxPython: Check = {
  name: 'syntax:python',
  profiles: ['syntax', 'tests'],
  applies: (input) => ofType(input.artifacts, 'python').length > 0,
  async run(input, ports, signal) {
    const started = performance.now();
    const files = ofType(input.artifacts, 'python');
    const stdin = JSON.stringify(files.map((file) => [file.path, file.content]));
    const result = await runChecker(
      ports,
      { command: ['python3', '-I', '-S', '-c', PROGRAM], files: [], stdin, limits: ports.limits },
      signal,
    );
    const broken = {
      path: files[0]?.path ?? '',
      line: 1,
      message: 'the interpreter could not read the files: they are nested too deeply or too large',
    };
    return [syntaxResult(this.name, files, parseAnswer(result.stdout) ?? [broken], started)];
  },
};
