// What a test run is: files, a command, and the mark that proves it came to its end.
import type { LoadedFile } from '../check.js';

export interface TestPlan {
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly command: readonly string[];
  /** Given on stdin and printed when every test ran: leaving early with exit code 0 is not passing. Undefined for a command of the task's own. */
  readonly mark: string | undefined;
}

/** The task's files, over them the attempt's: what was produced wins. */
export function mergedFiles(files: readonly LoadedFile[], artifacts: readonly LoadedFile[]): readonly LoadedFile[] {
  return [...new Map([...files, ...artifacts].map((file) => [file.path, file])).values()];
}

export const isTestFile = (path: string): boolean => /(^|\/)(tests?\/|test_[^/]*$|[^/]*[._]test\.|[^/]*\.spec\.|conftest\.py$)/.test(path);
