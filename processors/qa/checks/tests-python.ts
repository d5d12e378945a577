// Running Python tests. Three styles: `check(candidate)` with an entry point (HumanEval), unittest, and plain asserts or test_* functions.
import type { LoadedFile } from '../check.js';
import { RUNNER_PREFIX } from './explain.js';
import type { TestPlan } from './test-plan.js';

const RUNNER = `${RUNNER_PREFIX}run.py`;

/** Arguments: the test file, the entry point or '', then the Python files that may define it. */
const PROGRAM = `
import ast, inspect, os, sys, types
mark = sys.stdin.readline().strip()
test_path, entry, *candidates = sys.argv[1:]
sys.argv = [test_path]
sys.path[0] = os.getcwd()
for folder in ('src', os.path.dirname(test_path)):
    if folder and os.path.isdir(folder): sys.path.append(os.path.abspath(folder))

def fail(message):
    print(message, file=sys.stderr)
    sys.stdout.flush(); sys.stderr.flush()
    os._exit(1)

def names(node):
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)): return [a.asname or a.name for a in node.names]
    if isinstance(node, ast.Assign): return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name): return [node.target.id]
    return []

def read(path):
    with open(path, encoding='utf-8') as f: return f.read()

def load(name, *paths):
    module = types.ModuleType(name)
    module.__file__ = paths[0]
    sys.modules[name] = module
    for path in paths: exec(compile(read(path), path, 'exec', dont_inherit=True), module.__dict__)
    return module

if entry:
    source = next((p for p in candidates if any(entry in names(n) for n in ast.parse(read(p)).body)), None)
    if source is None: fail(f'none of the files defines {entry}: ' + (', '.join(candidates) or 'there is no Python file'))
    module = load('solution_under_test', source, test_path)
    check = module.__dict__.get('check')
    if callable(check) and entry != 'check': check(module.__dict__[entry])
else:
    module = load('__tests__', test_path)

ran = 0
if 'unittest' in sys.modules:
    import unittest
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    if suite.countTestCases() > 0:
        ran += suite.countTestCases()
        outcome = unittest.TextTestRunner(stream=sys.stderr).run(suite)
        if not outcome.wasSuccessful(): fail('')
for name, test in list(module.__dict__.items()):
    if not (name.startswith('test') and inspect.isfunction(test) and test.__module__ == module.__name__): continue
    needed = [p for p in inspect.signature(test).parameters.values() if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if needed: fail(f'{name} needs {needed[0].name}: fixtures of a test framework are not available here')
    outcome = test()
    if inspect.iscoroutine(outcome):
        import asyncio
        asyncio.run(outcome)
sys.stdout.flush(); sys.stderr.flush()
os.write(1, ('\\n' + mark + '\\n').encode())
`;

export function planPython(
  files: readonly LoadedFile[],
  artifacts: readonly LoadedFile[],
  test: { readonly path: string; readonly code: string; readonly entryPoint: string | undefined },
  mark: string,
): TestPlan {
  const candidates = [...artifacts, ...files].filter((f) => f.type === 'python' && f.path !== test.path).map((f) => f.path);
  return {
    files: [...files.filter((f) => f.path !== test.path), { path: test.path, content: test.code }, { path: RUNNER, content: PROGRAM }],
    command: ['python3', RUNNER, test.path, test.entryPoint ?? '', ...new Set(candidates)],
    mark,
  };
}
