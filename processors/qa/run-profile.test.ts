import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Language, languageOf } from '../../schemas/index.js';
import type { CheckInput, LoadedFile } from './check.js';
import { parser } from './checks/parser-process.js';
import { type ProfileResult, runProfile } from './run-profile.js';
import { refusingSandbox } from './sandbox/refusing.js';
import type { Sandbox, SandboxLimits } from './sandbox/sandbox.js';
import { openSandbox } from './sandbox/select.js';

const MIB = 1024 * 1024;
const LIMITS: SandboxLimits = { timeout_ms: 10_000, memory_bytes: 256 * MIB, processes: 32, output_bytes: 64 * 1024, disk_bytes: 8 * MIB };
const file = (path: string, content: string, type: Language = languageOf(path)): LoadedFile => ({ path, content, type });
type Tests = NonNullable<CheckInput['tests']>;

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await openSandbox({ rung: 'auto', hidden: [], env: process.env });
  expect(sandbox.rung).not.toBe('none');
}, 30_000);
afterAll(() => parser.close());

const syntax = (...artifacts: readonly LoadedFile[]): Promise<ProfileResult> =>
  runProfile('syntax', { artifacts, files: [], tests: undefined }, { sandbox, limits: LIMITS }, AbortSignal.timeout(30_000));
const test = (artifacts: readonly LoadedFile[], tests: Tests | undefined, files: readonly LoadedFile[] = []): Promise<ProfileResult> =>
  runProfile('tests', { artifacts, files, tests }, { sandbox, limits: LIMITS }, AbortSignal.timeout(60_000));
const python = (code: string, more: Partial<Tests> = {}): Tests => ({ language: 'python', code, ...more });
const script = (code: string, more: Partial<Tests> = {}): Tests => ({ language: 'javascript', code, ...more });
const typed = (code: string, more: Partial<Tests> = {}): Tests => ({ language: 'typescript', code, ...more });

describe('the profile none', () => {
  it('checks nothing and passes', async () => {
    const ports = { sandbox: refusingSandbox('no sandbox'), limits: LIMITS };
    const result = await runProfile(
      'none',
      { artifacts: [file('a.py', 'def')], files: [], tests: undefined },
      ports,
      AbortSignal.timeout(1_000),
    );
    expect(result).toEqual({ checks: [], score: 1, passed: true, reasons: [], retryable: false });
  });
});

describe('the profile syntax', () => {
  it('passes files that are well-formed, one check a language', async () => {
    const result = await syntax(
      file('a.py', 'def f(x):\n    return x\n'),
      file('b.js', 'export const a = 1;'),
      file('c.cjs', "const fs = require('fs'); module.exports = fs;"),
      file('d.tsx', 'export const D = (p: { a: string }) => <b>{p.a}</b>;'),
      file('e.json', '{"a": [1, 2]}'),
      file('f.md', '# not checked ((('),
    );
    expect(result).toMatchObject({ passed: true, score: 1, reasons: [], retryable: false });
    expect(result.checks.map((c) => c.name)).toEqual(['syntax:javascript', 'syntax:typescript', 'syntax:json', 'syntax:python']);
  });

  it.each([
    ['ok.py', 'x = 1\nreturn x\n', /ok\.py line 2: SyntaxError: 'return' outside function\n {4}return x/],
    ['a.py', 'def f(:\n  pass', /a\.py line 1: SyntaxError: .*\n {4}def f\(:/],
    ['a.py', 'if True:\npass', /a\.py line 2: IndentationError/],
    ['a.py', 'x = 1\0', /a\.py line 1: (ValueError|SyntaxError): .*null bytes/],
    ['a.py', `x = ${'('.repeat(5_000)}`, /a\.py line 1: .*(nested|too many)/],
    ['a.js', 'const a = 1;\nconst a = 2;', /a\.js line \d: .*`a` has already been declared/],
    ['a.ts', 'let x: = 3;', /a\.ts line 1: /],
    ['a.ts', 'function f() {\n  return 1\n', /a\.ts line \d: /],
    ['a.json', '{\n  "a": 1,\n}', /a\.json line 3: /],
    ['a.json', '{"a": 1', /a\.json line 1: /],
  ])('rejects %s with its line: %j', async (path, content, reason) => {
    const result = await syntax(file(path, content));
    expect(result).toMatchObject({ passed: false, score: 0, retryable: true });
    expect(result.reasons).toHaveLength(1);
    expect(result.reasons[0]).toMatch(reason);
  });

  it('survives source that overflows a native parser, and goes on with the next file', async () => {
    const deep = await syntax(file('deep.js', '['.repeat(200_000)));
    expect(deep.reasons[0]).toMatch(/deep\.js line 1: it is nested too deeply/);
    expect((await syntax(file('fine.js', '[[]]'))).passed).toBe(true);
    const large = await syntax(file('large.ts', ' '.repeat(2 * MIB)));
    expect(large.reasons[0]).toMatch(/larger than 1048576 bytes/);
  });

  it('does not run what it reads', async () => {
    expect((await syntax(file('a.py', 'while True: pass'), file('b.js', 'for(;;){}'))).passed).toBe(true);
  });

  it('where there is no sandbox it says so instead of passing', async () => {
    const ports = { sandbox: refusingSandbox('install bubblewrap'), limits: LIMITS };
    const run = runProfile('syntax', { artifacts: [file('a.py', '1')], files: [], tests: undefined }, ports, AbortSignal.timeout(5_000));
    await expect(run).rejects.toMatchObject({ kind: 'terminal', code: 'sandbox_unavailable' });
  });
});

describe('tests in Python', () => {
  const ADD = file('solution.py', 'LIMIT = 3\ndef helper(x):\n    return x\ndef add(a, b):\n    return a + b\n');
  const BAD = file('solution.py', 'def add(a, b):\n    return a - b\n');

  it.each([
    [
      'check(candidate) with names of the solution in scope',
      python('def check(candidate):\n    assert candidate(1, 2) == helper(LIMIT)\n', { entry_point: 'add' }),
    ],
    ['asserts with an entry point', python('assert add(1, 2) == 3\n', { entry_point: 'add' })],
    [
      'unittest',
      python(
        'import unittest\nfrom solution import add\nclass T(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(1, 2), 3)\nif __name__ == "__main__":\n    unittest.main()\n',
      ),
    ],
    ['plain asserts', python('from solution import add\nassert add(1, 2) == 3\n')],
    [
      'test functions, async too',
      python('from solution import add\ndef test_add():\n    assert add(1, 2) == 3\nasync def test_async():\n    assert add(0, 0) == 0\n'),
    ],
    ['a command', python('from solution import add\nassert add(1, 2) == 3\n', { command: 'python3 test_solution.py' })],
    [
      'a path',
      python('import sys; sys.path.insert(0, ".")\nfrom solution import add\nassert add(1, 2) == 3\n', { path: 'tests/test_it.py' }),
    ],
  ])('pass and fail: %s', async (_, tests) => {
    const passed = await test([ADD], tests);
    expect(passed.reasons).toEqual([]);
    expect(passed.checks.map((c) => [c.name, c.status])).toEqual([
      ['syntax:python', 'passed'],
      ['tests:python', 'passed'],
    ]);
    const failed = await test([file('solution.py', `LIMIT = 3\ndef helper(x):\n    return x\n${BAD.content}`)], tests);
    expect(failed).toMatchObject({ passed: false, score: 0.5, retryable: true });
    expect(failed.reasons[0]).toMatch(/AssertionError/);
    expect(failed.reasons[0]).toMatch(/line \d/);
  });

  it('see the files of the task, and what was produced wins over them', async () => {
    const tests = python('from solution import add\nfrom data import WANTED\nassert add(1, 2) == WANTED\n');
    const result = await test([ADD], tests, [file('data.py', 'WANTED = 3'), BAD]);
    expect(result.reasons).toEqual([]);
  });

  it.each([
    ['the failing line of the solution', 'def add(a, b):\n    return a + c\n', /NameError: name 'c' is not defined/],
    ['which name is missing', 'def sum_(a, b):\n    return a + b\n', /none of the files defines add: solution\.py/],
    ['that it did not finish', 'def add(a, b):\n    while True: pass\n', /did not finish within 0\.7 s: endless loop/],
    [
      'that the network is closed',
      "import socket\ndef add(a, b):\n    socket.create_connection(('127.0.0.1', 80))\n",
      /tried to open a network connection: not allowed/,
    ],
    ['that it may not write outside', "def add(a, b):\n    open('/etc/x', 'w')\n", /outside its folder: not allowed/],
    ['which package is not there', 'import numpy\ndef add(a, b):\n    return a + b\n', /imports numpy, which is neither/],
    [
      'that it used too much memory',
      "def add(a, b):\n    x = []\n    while True: x.append(b'x' * 10_000_000)\n",
      /used more than the 256 MiB of memory|did not finish/,
    ],
    [
      'that it left early with exit code 0',
      'import sys\nsys.exit(0)\ndef add(a, b):\n    return 3\n',
      /ended before the tests were through/,
    ],
    ['that it left early from a function', 'import os\ndef add(a, b):\n    os._exit(0)\n', /ended before the tests were through/],
  ])('a reason names %s', async (_, solution, reason) => {
    const result = await test(
      [file('solution.py', solution)],
      python('def check(candidate):\n    assert candidate(1, 2) == 3\n', { entry_point: 'add', timeout_s: 0.7 }),
    );
    expect(result.passed).toBe(false);
    expect(result.reasons[0]).toMatch(reason);
    expect(result.reasons[0]).not.toMatch(/\/root|\/home|\/tmp\/task|_dats_/);
  });

  it('reasons are bounded', async () => {
    const result = await test(
      [file('solution.py', "def add(a, b):\n    raise ValueError('x' * 50_000)\n")],
      python('add(1, 2)', { entry_point: 'add' }),
    );
    expect(result.reasons[0]?.length).toBeLessThanOrEqual(8_000);
    expect(result.checks.every((c) => (c.detail?.length ?? 0) <= 8_000)).toBe(true);
  });

  it('fixtures that are not there are a failure, not a silent pass', async () => {
    expect((await test([ADD], python('def test_x(tmp_path):\n    pass\n'))).reasons[0]).toMatch(/test_x needs tmp_path/);
  });
});

describe('tests in JavaScript and TypeScript', () => {
  const esm = (body: string) => file('solution.mjs', `export function add(a, b) { ${body} }`);
  const NODE_TEST = "import test from 'node:test';\nimport assert from 'node:assert/strict';\n";

  it.each([
    ['node:test', script(`${NODE_TEST}import { add } from './solution.mjs';\ntest('adds', () => assert.equal(add(1, 2), 3));`)],
    ['plain asserts', script("import assert from 'node:assert';\nimport { add } from './solution.mjs';\nassert.equal(add(1, 2), 3);")],
    [
      'an entry point in scope',
      script("const assert = require('node:assert');\nfunction check(candidate) { assert.equal(candidate(1, 2), 3); }", {
        entry_point: 'add',
      }),
    ],
    [
      'a command',
      script(`${NODE_TEST}import { add } from './solution.mjs';\ntest('adds', () => assert.equal(add(1, 2), 3));`, {
        command: 'node --test solution.test.mjs',
      }),
    ],
  ])('pass and fail: %s', async (_, tests) => {
    const passed = await test([esm('return a + b;')], tests);
    expect(passed.reasons).toEqual([]);
    expect(passed.checks.map((c) => [c.name, c.status])).toEqual([
      ['syntax:javascript', 'passed'],
      ['tests:javascript', 'passed'],
    ]);
    const failed = await test([esm('return a - b;')], tests);
    expect(failed).toMatchObject({ passed: false, score: 0.5, retryable: true });
    expect(failed.reasons[0]).toMatch(/-1\s*(!==|,|\n|should)[\s\S]*3|AssertionError/);
  });

  it('module syntax in .js files and CommonJS both run', async () => {
    const tests = "import assert from 'node:assert';\nimport { add } from './solution.js';\nassert.equal(add(1, 2), 3);";
    expect((await test([file('solution.js', 'export const add = (a, b) => a + b;')], script(tests))).reasons).toEqual([]);
    expect((await test([file('solution.js', 'module.exports.add = (a, b) => a + b;')], script(tests))).reasons).toEqual([]);
  });

  it.each(['./solution.ts', './solution.js', './solution', './lib/../solution'])(
    'TypeScript is run without its types; "%s" finds the file',
    async (name) => {
      const solution = file(
        'solution.ts',
        "import { one } from './lib/one';\ninterface P { a: number }\nexport enum E { A = 1 }\nexport const add = (a: number, b: number): number => a + b - one + E.A;\nexport type { P };",
      );
      const tests = typed(
        `${NODE_TEST}import { add } from '${name}';\ntest('adds', () => { const want: number = 3; assert.equal(add(1, 2), want); });`,
      );
      expect((await test([solution, file('lib/one.ts', 'export const one: number = 1;')], tests)).reasons).toEqual([]);
      const wrong = await test([solution, file('lib/one.ts', 'export const one: number = 2;')], tests);
      expect(wrong.reasons[0]).toMatch(/adds[\s\S]*AssertionError|Expected values to be strictly equal/);
    },
  );

  it('TypeScript with an entry point shares one scope with its tests', async () => {
    const tests = typed(
      'function check(candidate: (a: number, b: number) => number) { if (candidate(1, 2) !== 3) throw new Error("wrong sum"); }',
      { entry_point: 'add' },
    );
    expect(
      (await test([file('solution.ts', 'export function add(a: number, b: number): number { return a + b; }')], tests)).reasons,
    ).toEqual([]);
    const wrong = await test([file('solution.ts', 'export function add(a: number, b: number): number { return a - b; }')], tests);
    expect(wrong.reasons[0]).toMatch(/Error: wrong sum/);
  });

  it.each([
    ['that it left early with exit code 0', 'process.exit(0);', /ended before the tests were through/],
    ['that something never settles', 'await new Promise(() => {});', /ended (before the tests were through|with exit code 13)/],
    ['that it did not finish', 'for (;;) {}', /did not finish within 1 s/],
    [
      'that the network is closed',
      "import net from 'node:net'; await new Promise((r, j) => net.connect(80, '127.0.0.1').on('error', j));",
      /tried to open a network connection: not allowed/,
    ],
    ['which package is not there', "import _ from 'lodash';", /imports lodash, which is neither/],
    ['the exception', 'null.x;', /TypeError: Cannot read properties of null/],
  ])('a reason names %s', async (_, solution, reason) => {
    const result = await test([file('solution.mjs', solution)], script("import './solution.mjs';", { timeout_s: 1 }));
    expect(result.reasons[0]).toMatch(reason);
    expect(result.reasons[0]).not.toMatch(/\/root|\/home|\/tmp\/task|_dats_/);
  });
});

describe('the profile tests', () => {
  it('does not run code whose syntax is wrong', async () => {
    const result = await test([file('solution.py', 'def add(:')], python('assert True'));
    expect(result.checks.map((c) => [c.name, c.status])).toEqual([
      ['syntax:python', 'failed'],
      ['tests', 'skipped'],
    ]);
    expect(result).toMatchObject({ passed: false, score: 0 });
  });

  it('without tests checks the syntax and says that the rest was skipped', async () => {
    const result = await test([file('a.json', '{}')], undefined);
    expect(result).toMatchObject({ passed: true, score: 1 });
    expect(result.checks.at(-1)).toMatchObject({ name: 'tests', status: 'skipped', detail: expect.stringMatching(/no tests/) });
  });

  it('an answer without code fails its tests', async () => {
    expect((await test([file('README.md', 'sorry')], python('assert True'))).reasons[0]).toMatch(/holds no Python/);
  });

  it('other programs than python3 and node are refused for good', async () => {
    await expect(test([file('a.py', 'x = 1')], python('', { command: 'bash -c true' }))).rejects.toMatchObject({
      kind: 'terminal',
      code: 'unsupported_command',
    });
  });

  it('an abort ends it with the reason', async () => {
    const stop = new AbortController();
    const running = runProfile(
      'tests',
      { artifacts: [file('a.py', 'x = 1')], files: [], tests: python('while True: pass') },
      { sandbox, limits: LIMITS },
      stop.signal,
    );
    stop.abort(new Error('task cancelled'));
    await expect(running).rejects.toThrow('task cancelled');
  });
});
