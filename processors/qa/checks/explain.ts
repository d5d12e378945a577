// From the output of a failed run to a reason that the next attempt can use: what happened first, then the lines that show it. No paths of the host.
import type { SandboxLimits, SandboxResult } from '../sandbox/sandbox.js';
import { bounded } from './results.js';

const MIB = 1024 * 1024;
const MAX_LINES = 60;
/** Files that this system put beside the code; their frames say nothing about it. */
export const RUNNER_PREFIX = '_dats_';

const LIMITS: Record<NonNullable<SandboxResult['limit']>, (limits: SandboxLimits) => string> = {
  timeout: (l) => `did not finish within ${l.timeout_ms / 1000} s: endless loop, far too slow, or waiting for input?`,
  memory: (l) => `used more than the ${Math.floor(l.memory_bytes / MIB)} MiB of memory that are allowed`,
  processes: (l) => `started more than the ${l.processes} processes and threads that are allowed`,
  output: (l) => `wrote far more output than the ${Math.floor(l.output_bytes / 1024)} KiB that are kept: printing in a loop?`,
  disk: (l) => `wrote more than the ${Math.floor(l.disk_bytes / MIB)} MiB of files that are allowed`,
};

const SYMPTOMS: readonly (readonly [RegExp, (m: RegExpExecArray) => string])[] = [
  [
    /ECONNREFUSED|ENETUNREACH|EAI_AGAIN|Network is unreachable|Temporary failure in name resolution|Name or service not known|ConnectionRefusedError/,
    () => 'tried to open a network connection: not allowed in tests',
  ],
  [
    /Read-only file system|EROFS|PermissionError: \[Errno 13\]|EACCES: permission denied/,
    () => 'tried to write or read outside its folder: not allowed in tests',
  ],
  [
    /ModuleNotFoundError: No module named '([^']+)'/,
    (m) => `imports ${m[1]}, which is neither one of the files nor in the standard library`,
  ],
  [/Cannot find (?:package|module) '([^']+)'/, (m) => `imports ${m[1]}, which is neither one of the files nor built in`],
];

/** Takes out where things lie on this machine. */
export const withoutHostPaths = (text: string): string =>
  text
    .replaceAll(/(?:file:\/\/)?\/tmp\/task\//g, '')
    .replaceAll(/(?:\/[\w.@+~-]+)+\/lib(?:64)?\/(python3(?:\.\d+)?)\//g, '<$1>/')
    .replaceAll(/(?:file:\/\/)?\/(?:root|home|Users|opt|nix|mnt|srv|data|work|var)\/[^\s'":,)]*/g, '<path>');

const isNoise = (line: string): boolean =>
  /node:internal|^\s+at .*\(?node:|^Node\.js v\d|^\(Use `node --trace/.test(line) ||
  line.includes(RUNNER_PREFIX) ||
  /<frozen |<python3[^>]*>\/(runpy|unittest)/.test(line);

/** Python shows the source below each frame; without its frame it goes too. */
function relevantLines(text: string): readonly string[] {
  const lines: string[] = [];
  let skipping = false;
  for (const line of text.split('\n')) {
    if (isNoise(line)) {
      skipping = /^\s*File "/.test(line);
      continue;
    }
    if (skipping && /^ {4}/.test(line)) continue;
    skipping = false;
    lines.push(line);
  }
  return lines;
}

const TEST_REPORT = /^(not ok|# fail|# tests|\s+(error|expected|actual|operator|code|location|name|failureType): )/;

/** @param what the test's name or "the tests". */
export function explain(result: SandboxResult, limits: SandboxLimits, what: string): string {
  const everything = withoutHostPaths(`${result.stderr.trim()}\n${result.stdout.trim()}`).trim();
  const symptom = SYMPTOMS.map(([pattern, say]) => {
    const match = pattern.exec(everything);
    return match ? say(match) : undefined;
  }).find((said) => said !== undefined);
  const ended = result.signal !== null ? `was ended by ${result.signal}` : `ended with exit code ${result.code}`;
  const headline = result.limit ? LIMITS[result.limit](limits) : (symptom ?? ended);
  const errors = relevantLines(withoutHostPaths(result.stderr).trim());
  const output = relevantLines(withoutHostPaths(result.stdout).trim());
  const report = output.filter((line) => TEST_REPORT.test(line));
  const shown = [...(report.length > 0 ? output : output.slice(-MAX_LINES / 3)), ...errors]
    .filter((l) => l.trim() !== '')
    .slice(-MAX_LINES);
  return bounded([`${what}: ${headline}`, ...shown].join('\n'));
}
