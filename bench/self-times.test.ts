import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { byFile, selfTimes } from './self-times.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const fileUrl = (path: string): string => pathToFileURL(join(ROOT, path)).href;

const node = (id: number, functionName: string, url: string, children: number[] = []): Profiler.ProfileNode => ({
  id,
  callFrame: { functionName, scriptId: '0', url, lineNumber: 9, columnNumber: 0 },
  children,
});

const profile: Profiler.Profile = {
  nodes: [
    node(1, '(root)', '', [2, 3, 6]),
    node(2, 'encode', fileUrl('schemas/registry.js'), [4]),
    node(3, 'encode', fileUrl('schemas/registry.js'), []),
    node(4, 'hash', '', [5]),
    node(5, 'update', fileUrl('node_modules/lib/index.js')),
    node(6, '(garbage collector)', ''),
  ],
  startTime: 0,
  endTime: 100,
  samples: [2, 3, 4, 5, 6, 2],
  timeDeltas: [10, 20, 5, 7, 3, 1],
};

test('the samples of one function are summed over all places it was called from, largest first', () => {
  expect(selfTimes(profile)[0]).toEqual(['encode  schemas/registry.js:10', 31]);
});

test('native code is told with the script that called it', () => {
  expect(selfTimes(profile)).toContainEqual(['native hash for encode  schemas/registry.js:10', 5]);
});

test('a file has the time of its functions and of the native code they call', () => {
  expect(byFile(selfTimes(profile))).toEqual([
    ['schemas/registry.js', 36],
    ['lib/index.js', 7],
    ['(garbage collector)', 3],
  ]);
});
