// From a model's answer to files. Pure, total: any text gives files or an error in words that the next attempt can use.
//
// N1. No path leaves the task's folder. N2. A truncated answer is an error, not half a file. N3. Blocks without a path beside blocks with one
// are talk, not files. N4. Every error code begins with `answer_`.
import type { FinishReason } from '../../models/index.js';
import { FILE_LIMIT_BYTES, isSafePath, type Language } from '../../schemas/index.js';
import { type Block, blocksIn } from './blocks.js';
import type { TextFile } from './fence.js';

export const FILES_LIMIT = 200;
const PATH_LIMIT_CHARS = 400;

export const ANSWER_ERRORS = [
  'answer_no_file',
  'answer_truncated',
  'answer_unsafe_path',
  'answer_duplicate_path',
  'answer_too_many_files',
  'answer_too_large',
  'answer_path_missing',
] as const;
export type AnswerErrorCode = (typeof ANSWER_ERRORS)[number];

export interface AnswerError {
  readonly code: AnswerErrorCode;
  /** For the next attempt and for people. */
  readonly message: string;
}

export type AnswerResult = { readonly ok: true; readonly files: readonly TextFile[] } | { readonly ok: false; readonly error: AnswerError };

export interface AnswerContext {
  readonly finish_reason: FinishReason;
  /** What a block without a path is taken for. */
  readonly language?: Language;
}

const DEFAULT_PATHS: Readonly<Record<Language, string>> = {
  python: 'solution.py',
  typescript: 'solution.ts',
  javascript: 'solution.mjs',
  json: 'solution.json',
  markdown: 'README.md',
  text: 'solution.txt',
};
const ALIASES: Readonly<Record<string, Language>> = {
  py: 'python',
  python3: 'python',
  python: 'python',
  ts: 'typescript',
  tsx: 'typescript',
  typescript: 'typescript',
  js: 'javascript',
  jsx: 'javascript',
  mjs: 'javascript',
  node: 'javascript',
  javascript: 'javascript',
  json: 'json',
  md: 'markdown',
  markdown: 'markdown',
  text: 'text',
  txt: 'text',
};

/** Where a file of a language goes that nobody named. */
export const defaultPath = (language: Language): string => DEFAULT_PATHS[language];

const QUOTED = /(?:^|[\s{,])(?:path|file|filename|title)\s*[=:]\s*(?:"([^"]*)"|'([^']*)'|`([^`]*)`)/i;
const BARE = /(?:^|[\s{,])(?:path|file|filename)\s*[=:]\s*([^\s,}"'`][^\s,}]*)/i;
const LOOKS_LIKE_PATH = /^[\w@.+()[\]-]+(?:\/[\w@.+()[\]-]+)*\.[A-Za-z][A-Za-z0-9]{0,9}$/;
const COMMENT = /^\s*(?:#|\/\/|--|;|%|<!--|\/\*)\s*(?:(?:path|file|filename)\s*[:=]\s*)?(\S+?)\s*(?:-->|\*\/)?\s*$/i;
const ABOVE =
  /^(?:[-*+]\s+|\d+[.)]\s+|#{1,6}\s+)?(?:\*\*|__)?(?:(?:path|file|filename)\s*:\s*)?[`"']?([^\s`"'*]+)[`"']?(?:\*\*|__)?\s*:?(?:\*\*)?$/i;

/** A path in the info string: `path=x`, `file="x"`, `python:src/x.py`, `src/x.py`. */
const pathInInfo = (info: string): string | undefined => {
  const quoted = QUOTED.exec(info);
  if (quoted) return quoted[1] ?? quoted[2] ?? quoted[3];
  const bare = BARE.exec(info);
  if (bare) return bare[1];
  for (const word of info.split(/\s+/)) {
    const candidate = word.includes(':') ? word.slice(word.indexOf(':') + 1) : word;
    if (LOOKS_LIKE_PATH.test(candidate)) return candidate;
  }
  return undefined;
};

interface Named {
  readonly path: string | undefined;
  readonly lines: readonly string[];
  readonly language: Language | undefined;
}

const named = (block: Block): Named => {
  const language = ALIASES[/^\w+/.exec(block.info)?.[0].toLowerCase() ?? ''];
  const inInfo = pathInInfo(block.info);
  if (inInfo !== undefined) return { path: inInfo, lines: block.lines, language };
  const first = block.lines[0];
  const comment = first === undefined ? null : COMMENT.exec(first);
  if (comment && LOOKS_LIKE_PATH.test(comment[1]!)) return { path: comment[1]!, lines: block.lines.slice(1), language };
  const above = ABOVE.exec(block.above);
  if (above && LOOKS_LIKE_PATH.test(above[1]!)) return { path: above[1]!, lines: block.lines, language };
  return { path: undefined, lines: block.lines, language };
};

const bad = (code: AnswerErrorCode, message: string): AnswerResult => ({ ok: false, error: { code, message } });
const FORM = 'Give every file as a fenced block with its path in the info string, such as ```python path=src/slug.py';

/** The one block that stands for the whole answer when no block names a path. */
const loneBlock = (blocks: readonly Named[], language: Language | undefined): Named | undefined => {
  if (blocks.length === 1) return blocks[0];
  const fitting = blocks.filter((block) => block.language !== undefined && block.language === language);
  return fitting.length === 1 ? fitting[0] : undefined;
};

const contentOf = (lines: readonly string[]): string => (lines.length === 0 ? '' : `${lines.join('\n')}\n`);
const shown = (path: string): string => JSON.stringify(path.slice(0, 100));

const collect = (blocks: readonly Named[]): AnswerResult => {
  const files = new Map<string, string>();
  let bytes = 0;
  for (const { path: written, lines } of blocks) {
    const path = written!.startsWith('./') ? written!.slice(2) : written!;
    if (path.length > PATH_LIMIT_CHARS || !isSafePath(path))
      return bad(
        'answer_unsafe_path',
        `the path ${shown(path)} is not a relative path inside the task folder (no leading "/", no "..", no backslash). ${FORM}`,
      );
    const content = contentOf(lines);
    const before = files.get(path);
    if (before !== undefined && before !== content)
      return bad('answer_duplicate_path', `the answer holds ${shown(path)} twice, with different contents. Give each file once, whole`);
    bytes += before === undefined ? Buffer.byteLength(content) : 0;
    if (bytes > FILE_LIMIT_BYTES)
      return bad('answer_too_large', `the files are larger than ${FILE_LIMIT_BYTES} bytes together. Give fewer or smaller files`);
    files.set(path, content);
    if (files.size > FILES_LIMIT) return bad('answer_too_many_files', `the answer holds more than ${FILES_LIMIT} files. Give fewer files`);
  }
  return { ok: true, files: [...files].map(([path, content]) => ({ path, content })) };
};

/** The files in an answer. */
export const filesIn = (text: string, context: AnswerContext): AnswerResult => {
  const raw = blocksIn(text);
  const last = raw.at(-1);
  if (context.finish_reason === 'length' && (last === undefined || last.unterminated))
    return bad(
      'answer_truncated',
      'the answer was cut off at the token limit before its last file was complete. Answer shorter: only the files, no explanations, no repetitions',
    );
  const blocks = raw.map(named);
  const withPath = blocks.filter(({ path }) => path !== undefined);
  if (withPath.length > 0) return collect(withPath);
  if (blocks.length === 0) return bad('answer_no_file', `the answer holds no fenced block, so no file. ${FORM}`);
  const lone = loneBlock(blocks, context.language);
  if (lone === undefined) return bad('answer_path_missing', `the answer holds ${blocks.length} blocks and none names its path. ${FORM}`);
  if (lone.lines.every((line) => line.trim() === '')) return bad('answer_no_file', `the answer's only block is empty. ${FORM}`);
  return collect([{ ...lone, path: defaultPath(lone.language ?? context.language ?? 'text') }]);
};
