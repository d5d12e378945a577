// What a CPU profile says, as tables: how long each function, and each file, was itself on the CPU.
import type { Profiler } from 'node:inspector';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Rows of a table. */
const SHOWN = 40;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A function or a file, and its own time in microseconds. */
export type SelfTime = readonly [name: string, us: number];

const placeOf = (url: string): string => {
  if (!url.startsWith('file://')) return url === '' ? '(native)' : url;
  return relative(ROOT, fileURLToPath(url)).replace(/^node_modules\//, '');
};

/** Native code has no place of its own: it is told with the script that called it. */
const labelOf = (node: Profiler.ProfileNode, parents: ReadonlyMap<number, Profiler.ProfileNode>): string => {
  const { functionName, url, lineNumber } = node.callFrame;
  if (url !== '') return `${functionName || '(anonymous)'}  ${placeOf(url)}:${lineNumber + 1}`;
  if (functionName.startsWith('(')) return functionName;
  let caller = parents.get(node.id);
  while (caller !== undefined && caller.callFrame.url === '') caller = parents.get(caller.id);
  if (caller === undefined) return `native ${functionName}`;
  return `native ${functionName} for ${caller.callFrame.functionName || '(anonymous)'}  ${placeOf(caller.callFrame.url)}:${caller.callFrame.lineNumber + 1}`;
};

/** Self time by function, in microseconds, largest first. */
export const selfTimes = (profile: Profiler.Profile): readonly SelfTime[] => {
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)));
  const nameOf = new Map(profile.nodes.map((node) => [node.id, labelOf(node, parents)]));
  const times = new Map<string, number>();
  for (const [i, id] of profile.samples!.entries()) {
    const name = nameOf.get(id)!;
    times.set(name, (times.get(name) ?? 0) + profile.timeDeltas![i]!);
  }
  return [...times].sort((a, b) => b[1] - a[1]);
};

/** Self time by file. */
export const byFile = (times: readonly SelfTime[]): readonly SelfTime[] => {
  const files = new Map<string, number>();
  for (const [name, us] of times) {
    const file = name.split('  ').at(-1)!.replace(/:\d+$/, '');
    files.set(file, (files.get(file) ?? 0) + us);
  }
  return [...files].sort((a, b) => b[1] - a[1]);
};

/** Self times without the waiting, and their sum. */
export const busyTimes = (profile: Profiler.Profile): { readonly times: readonly SelfTime[]; readonly total: number } => {
  const times = selfTimes(profile).filter(([name]) => name !== '(idle)');
  return { times, total: times.reduce((sum, [, us]) => sum + us, 0) };
};

const rowsOf = (times: readonly SelfTime[], count: number, unit: string): string => {
  const total = times.reduce((sum, [, us]) => sum + us, 0);
  return times
    .slice(0, SHOWN)
    .map(([name, us]) => `${(us / count).toFixed(2).padStart(8)} us/${unit} ${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
};

/** By function and by file, for each of `count` units of work. */
export const timesTable = (times: readonly SelfTime[], count: number, unit: string): string =>
  `self time by function\n${rowsOf(times, count, unit)}\n\nself time by file\n${rowsOf(byFile(times), count, unit)}`;
