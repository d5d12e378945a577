// A CPU profile of the pipeline under load: `node dist/bench/profile.js [tasks]`. The whole profile goes to a file that Chrome's tools open.
import { writeFile } from 'node:fs/promises';
import type { Profiler } from 'node:inspector';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchTask, driveClosed } from './load.js';
import { cpuMsOf, startPipeline } from './pipeline-process.js';
import { cacheDir } from './places.js';

const TASKS = 10_000;
const WARM_UP = 1_000;
const CONNECTIONS = 64;
const SHOWN = 40;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

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
const selfTimes = (profile: Profiler.Profile): (readonly [string, number])[] => {
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
const byFile = (times: readonly (readonly [string, number])[]): (readonly [string, number])[] => {
  const files = new Map<string, number>();
  for (const [name, us] of times) {
    const file = name.split('  ').at(-1)!.replace(/:\d+$/, '');
    files.set(file, (files.get(file) ?? 0) + us);
  }
  return [...files].sort((a, b) => b[1] - a[1]);
};

const table = (rows: readonly (readonly [string, number])[], tasks: number, total: number): string =>
  rows
    .slice(0, SHOWN)
    .map(([name, us]) => `${(us / tasks).toFixed(2).padStart(8)} us/task ${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');

const profilePipeline = async (tasks: number): Promise<void> => {
  const pipeline = await startPipeline();
  try {
    const warmUp = Array.from({ length: WARM_UP }, (_, i) => benchTask(i));
    await driveClosed(
      pipeline.port,
      warmUp.map((task) => task.request),
      CONNECTIONS,
    );
    await pipeline.waitFor(WARM_UP);
    const work = Array.from({ length: tasks }, (_, i) => benchTask(i));
    await pipeline.startProfile();
    const cpuBefore = cpuMsOf(pipeline.pid);
    const { begin, end } = await driveClosed(
      pipeline.port,
      work.map((task) => task.request),
      CONNECTIONS,
    );
    await pipeline.waitFor(WARM_UP + tasks);
    const cpu = cpuMsOf(pipeline.pid) - cpuBefore;
    const profile = await pipeline.stopProfile();
    const last = Math.max(...pipeline.completed.values());
    const file = join(cacheDir(), 'bench', 'pipeline.cpuprofile');
    await writeFile(file, JSON.stringify(profile));
    const times = selfTimes(profile);
    const busy = times.filter(([name]) => name !== '(idle)');
    const total = busy.reduce((sum, [, us]) => sum + us, 0);
    const rates = `${((tasks / (last - begin)) * 1_000).toFixed(0)} tasks/s, ${((tasks / (end - begin)) * 1_000).toFixed(0)} submissions/s`;
    process.stdout.write(
      `${tasks} tasks: ${rates}, ${(cpu / tasks).toFixed(3)} CPU ms a task (all threads, profiler included), ` +
        `main thread busy ${(total / tasks).toFixed(0)} us a task\n\nself time by function\n${table(busy, tasks, total)}\n\n` +
        `self time by file\n${table(byFile(busy), tasks, total)}\n\nwhole profile: ${file}\n`,
    );
  } finally {
    await pipeline.stop();
  }
};

await profilePipeline(Number(process.argv[2] ?? TASKS));
