// What a person needs to see of a server's logs when it fails: what it complained about since its start, and how the log ends.
import { readFileSync, statSync } from 'node:fs';

const COMPLAINTS = 6;
const LAST_LINES = 6;
const LINE_CHARACTERS = 300;
const COMPLAINT = /\b(ERROR|FATAL)\b|^Caused by: |^Exception in thread|^Error: |: (fatal )?error: |^CMake Error/;

/** Where the logs end now: what a failed start says of itself comes after. */
export const endsOf = (files) => new Map(files.map((file) => [file, statSync(file, { throwIfNoEntry: false })?.size ?? 0]));

const linesSince = (file, end) => {
  try {
    const bytes = readFileSync(file);
    // A log that is shorter than it was has been rolled over.
    const since = bytes.length < end ? bytes : bytes.subarray(end);
    return since
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
  } catch {
    return [];
  }
};

const excerpt = (file, end) => {
  const lines = linesSince(file, end);
  const complaints = lines.filter((line) => COMPLAINT.test(line)).slice(0, COMPLAINTS);
  const last = lines.slice(-LAST_LINES).filter((line) => !complaints.includes(line));
  const shown = (line) => `    ${line.slice(0, LINE_CHARACTERS)}`;
  return [
    `  log ${file}:${lines.length === 0 ? ' nothing' : ''}`,
    ...complaints.map(shown),
    ...(complaints.length > 0 && last.length > 0 ? ['    ... and at its end:'] : []),
    ...last.map(shown),
  ];
};

/**
 * @param {readonly string[]} files those that are there are shown
 * @param {Map<string, number>} [ends] from `endsOf`; without it the whole logs are looked at
 */
export const logExcerpt = (files, ends = new Map()) =>
  files
    .filter((file) => statSync(file, { throwIfNoEntry: false }) !== undefined)
    .flatMap((file) => excerpt(file, ends.get(file) ?? 0))
    .join('\n');
