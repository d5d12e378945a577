// Making check results: bounded details, durations, the shape of "these lines of these files are wrong".
import type { CheckResult } from '../../../schemas/index.js';
import type { LoadedFile } from '../check.js';

export const MAX_DETAIL_CHARACTERS = 8_000;
const CUT = '\n... (cut)';

export const bounded = (text: string, limit: number = MAX_DETAIL_CHARACTERS): string =>
  text.length <= limit ? text : text.slice(0, limit - CUT.length) + CUT;

export interface Mistake {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** Enough to see what is wrong; a broken file can have thousands. */
const MAX_MISTAKES = 20;

const describe = (mistake: Mistake, files: readonly LoadedFile[]): string => {
  const line = files
    .find((f) => f.path === mistake.path)
    ?.content.split('\n')
    [mistake.line - 1]?.trim()
    .slice(0, 200);
  return `${mistake.path} line ${mistake.line}: ${mistake.message}${line ? `\n    ${line}` : ''}`;
};

/** Passed when there is no mistake. `started` is a `performance.now()`. */
export function syntaxResult(name: string, files: readonly LoadedFile[], mistakes: readonly Mistake[], started: number): CheckResult {
  const duration_ms = performance.now() - started;
  if (mistakes.length === 0) return { name, status: 'passed', duration_ms };
  return {
    name,
    status: 'failed',
    detail: bounded(
      mistakes
        .slice(0, MAX_MISTAKES)
        .map((m) => describe(m, files))
        .join('\n'),
    ),
    duration_ms,
  };
}

export const ofType = (files: readonly LoadedFile[], type: LoadedFile['type']): readonly LoadedFile[] =>
  files.filter((file) => file.type === type);
