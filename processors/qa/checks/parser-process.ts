// JavaScript and TypeScript are parsed by oxc in a process of its own: a few thousand nested brackets overflow a native parser's stack, and that ends
// the process it runs in. Files come from models, so this must not be ours.
//
// P1. One request at a time, so a death is blamed on the right file; the next request gets a new process. P2. Size and time are bounded.
// P3. The process holds nothing of our environment, never keeps us alive, and ends when we do.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { killChild } from '../../../schemas/index.js';

/** Larger files are rejected unread: nothing a model writes comes near it. */
export const MAX_SOURCE_BYTES = 1024 * 1024;
const PARSE_TIMEOUT_MS = 10_000;

export interface Parsed {
  readonly errors: readonly { readonly message: string; readonly line: number }[];
  /** Uses import or export. */
  readonly esm: boolean;
  /** With `strip`: the code without types; absent when there are errors. */
  readonly code?: string;
  /** With `strip`: where module names stand in `code` (with their quotes), last first. */
  readonly imports?: readonly { readonly start: number; readonly end: number; readonly name: string }[];
}

export interface ParseRequest {
  readonly path: string;
  readonly source: string;
  /** Also take the types out. */
  readonly strip?: boolean;
}

const moduleUrl = (name: string): string => pathToFileURL(createRequire(import.meta.url).resolve(name)).href;

const program = (): string => `
import { parseSync } from ${JSON.stringify(moduleUrl('oxc-parser'))};
import { transformSync } from ${JSON.stringify(moduleUrl('oxc-transform'))};
const lineAt = (source, offset) => source.slice(0, offset).split('\\n').length;
const sourceType = (path) => (/\\.[cm][jt]s$/.test(path) ? (/\\.c/.test(path.slice(-4)) ? 'commonjs' : 'module') : 'unambiguous');
const problems = (source, errors) => errors.slice(0, 20).map((e) => ({ message: e.message, line: lineAt(source, e.labels[0]?.start ?? 0) }));
function answer({ path, source, strip }) {
  const parsed = parseSync(path, source, { sourceType: sourceType(path), showSemanticErrors: true });
  const esm = parsed.module.hasModuleSyntax;
  if (parsed.errors.length > 0) return { errors: problems(source, parsed.errors), esm };
  if (!strip) return { errors: [], esm };
  const stripped = transformSync(path, source, { sourceType: sourceType(path), jsx: { runtime: 'classic' }, typescript: { rewriteImportExtensions: true } });
  if (stripped.errors.length > 0) return { errors: problems(source, stripped.errors), esm };
  const out = parseSync(path.replace(/ts$/, 'js').replace(/tsx$/, 'jsx'), stripped.code, { sourceType: sourceType(path) });
  const spans = [
    ...out.module.staticImports.map((i) => i.moduleRequest),
    ...out.module.staticExports.flatMap((e) => e.entries.flatMap((x) => (x.moduleRequest ? [x.moduleRequest] : []))),
    ...out.module.dynamicImports.map((i) => i.moduleRequest),
  ];
  const seen = new Map(spans.map((s) => [s.start, { start: s.start, end: s.end, name: stripped.code.slice(s.start + 1, s.end - 1) }]));
  return { errors: [], esm, code: stripped.code, imports: [...seen.values()].sort((a, b) => b.start - a.start) };
}
process.on('message', (request) => process.send(answer(request)));
process.on('disconnect', () => process.exit(0));
process.send('ready');
`;

/** Owns the parsing process; it starts with the first request and again after it died. */
export class ParserProcess {
  #child: Promise<ChildProcess> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  async #start(): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['--max-old-space-size=256', '--input-type=module', '-e', program()], {
      env: {},
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    child.once('exit', () => {
      this.#child = undefined;
    });
    await Promise.race([once(child, 'message'), once(child, 'exit')]);
    child.unref();
    child.channel?.unref();
    return child;
  }

  async #ask(request: ParseRequest): Promise<Parsed> {
    if (Buffer.byteLength(request.source) > MAX_SOURCE_BYTES)
      return { errors: [{ message: `the file is larger than ${MAX_SOURCE_BYTES} bytes; split it`, line: 1 }], esm: false };
    this.#child ??= this.#start();
    const child = await this.#child;
    child.ref();
    const timer = setTimeout(() => killChild(child, 'SIGKILL'), PARSE_TIMEOUT_MS);
    let died: () => void = () => undefined;
    try {
      const answer = await new Promise<Parsed | undefined>((resolve) => {
        died = () => resolve(undefined);
        child.once('message', (message) => resolve(message as Parsed));
        child.once('exit', died);
        child.send(request, (error) => error && died());
      });
      return (
        answer ?? {
          errors: [{ message: 'it is nested too deeply or too complicated to be parsed; write it in simpler steps', line: 1 }],
          esm: false,
        }
      );
    } finally {
      clearTimeout(timer);
      child.removeAllListeners('message').off('exit', died);
      child.unref();
    }
  }

  /** Never rejects for what a file contains: that is an error in the answer. */
  parse(request: ParseRequest): Promise<Parsed> {
    const next = this.#last.then(() => this.#ask(request));
    this.#last = next.catch(() => undefined);
    return next;
  }

  async close(): Promise<void> {
    const child = await this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    killChild(child, 'SIGKILL');
    await gone;
  }
}

/** The one of this process: parsing is stateless, and a second would only cost memory. */
export const parser = new ParserProcess();
