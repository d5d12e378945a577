// A CPU profile of the pipeline under load: `node dist/bench/profile.js [tasks]`. The whole profile goes to a file that Chrome's tools open.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { benchTask, driveClosed } from './load.js';
import { cpuMsOf, startPipeline } from './pipeline-process.js';
import { cacheDir } from './places.js';
import { byFile, selfTimes } from './self-times.js';

const TASKS = 10_000;
const WARM_UP = 1_000;
const CONNECTIONS = 64;
const SHOWN = 40;

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
