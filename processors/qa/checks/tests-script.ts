// Running JavaScript and TypeScript tests: types are taken out first, then node runs the test file; node:test and plain asserts both work.
import { posix } from 'node:path';
import type { LoadedFile } from '../check.js';
import { RUNNER_PREFIX } from './explain.js';
import { type Parsed, parser } from './parser-process.js';
import type { TestPlan } from './test-plan.js';

const RUNNER = `${RUNNER_PREFIX}run.mjs`;

/** The mark is printed when the event loop ran empty: `process.exit` in the code does not get there. */
const PROGRAM = `
import { readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
const mark = readFileSync(0, 'utf8').trim();
const file = process.argv[2];
process.argv.splice(1, 2, file);
await import(pathToFileURL(file).href);
process.once('beforeExit', () => writeSync(1, '\\n' + mark + '\\n'));
`;

const isTypeScript = (path: string): boolean => /\.[cm]?tsx?$/.test(path) && !path.endsWith('.d.ts');
/** `a.ts` becomes `a.js`, `a.mts` `a.mjs`, `a.tsx` `a.js`. */
export const outputPath = (path: string): string => (isTypeScript(path) ? path.replace(/\.tsx$/, '.ts').replace(/ts$/, 'js') : path);

/** TypeScript leaves extensions out, node does not: name the file that is meant. */
function resolved(name: string, from: string, known: ReadonlySet<string>): string {
  if (!name.startsWith('./') && !name.startsWith('../')) return name;
  const target = posix.join(posix.dirname(from), name);
  if (known.has(target)) return name;
  const suffix = ['.js', '.mjs', '.cjs', '/index.js'].find((end) => known.has(target + end));
  return suffix === undefined ? name : name + suffix;
}

function withImports(parsed: Parsed, path: string, known: ReadonlySet<string>): string {
  let code = parsed.code ?? '';
  for (const { start, end, name } of parsed.imports ?? []) {
    const quote = code[start];
    if (quote !== "'" && quote !== '"') continue;
    code = code.slice(0, start + 1) + resolved(name, path, known) + code.slice(end - 1);
  }
  return code;
}

export type Prepared = { readonly plan: TestPlan } | { readonly mistake: string };

const COMMONJS = /\bmodule\.exports\b|\bexports\.\w|\brequire\s*\(/;
/** What CommonJS code expects, in a module that holds the solution and its tests together. */
const PRELUDE =
  "import { createRequire as _dats_createRequire } from 'node:module';\nglobalThis.require ??= _dats_createRequire(import.meta.url);\nglobalThis.module ??= { exports: {} };\nglobalThis.exports ??= globalThis.module.exports;\n";

const defines = (source: string, name: string): boolean =>
  new RegExp(`(?:function\\s*\\*?|class|const|let|var)\\s+${name.replaceAll('$', '\\$')}\\b`).test(source);

/** With an entry point and no import of their own, tests expect the solution's names in scope. */
function inOneScope(artifacts: readonly LoadedFile[], code: string, entryPoint: string): string | undefined {
  if (/\b(?:from|import|require)\s*\(?\s*['"]\.{1,2}\//.test(code)) return undefined;
  const solution = artifacts.find((f) => (f.type === 'javascript' || f.type === 'typescript') && defines(f.content, entryPoint));
  if (solution === undefined) return undefined;
  return `${PRELUDE}${solution.content}\n${code}\nif (typeof check === 'function') await check(${entryPoint});\n`;
}

/** Takes the types out of every TypeScript file; a file that cannot be parsed is the answer's mistake. */
async function strip(files: readonly LoadedFile[]): Promise<readonly { path: string; content: string; esm: boolean }[] | string> {
  const known = new Set(files.map((f) => outputPath(f.path)));
  const stripped: { path: string; content: string; esm: boolean }[] = [];
  for (const file of files) {
    const script = file.type === 'typescript' || file.type === 'javascript';
    if (!script || file.path.endsWith('.d.ts')) {
      stripped.push({ path: file.path, content: file.content, esm: false });
      continue;
    }
    const types = isTypeScript(file.path);
    const parsed = await parser.parse({ path: file.path, source: file.content, strip: types });
    const [error] = parsed.errors;
    if (error !== undefined && types) return `${file.path} line ${error.line}: ${error.message}`;
    const path = outputPath(file.path);
    stripped.push({ path, content: types ? withImports(parsed, path, known) : file.content, esm: parsed.esm || types });
  }
  return stripped;
}

export async function planScript(
  files: readonly LoadedFile[],
  artifacts: readonly LoadedFile[],
  test: {
    readonly path: string;
    readonly code: string;
    readonly language: 'javascript' | 'typescript';
    readonly entryPoint: string | undefined;
  },
  mark: string,
): Promise<Prepared> {
  const code = test.entryPoint === undefined ? test.code : (inOneScope(artifacts, test.code, test.entryPoint) ?? test.code);
  const own: LoadedFile = { path: test.path, type: isTypeScript(test.path) ? 'typescript' : 'javascript', content: code };
  const stripped = await strip([...files.filter((f) => f.path !== test.path), own]);
  if (typeof stripped === 'string') return { mistake: stripped };
  const described = stripped.some((f) => f.path === 'package.json');
  const modules = stripped.some((f) => f.esm && f.path.endsWith('.js'));
  const commonJs = stripped.some((f) => !f.esm && f.path.endsWith('.js') && COMMONJS.test(f.content));
  const manifest = modules && !commonJs && !described ? [{ path: 'package.json', content: '{"type":"module"}' }] : [];
  const written = stripped.map(({ path, content }) => ({ path, content }));
  return {
    plan: { files: [...written, ...manifest, { path: RUNNER, content: PROGRAM }], command: ['node', RUNNER, outputPath(test.path)], mark },
  };
}
