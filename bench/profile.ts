// A CPU profile of the pipeline under load: `node dist/bench/profile.js [tasks] [--kafka]`, with the log on LMDB or on Kafka. The whole profile goes to a file that Chrome's tools open.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchTask, driveClosed } from './load.js';
import { cpuMsOf, startPipeline } from './pipeline-process.js';
import { cacheDir } from './places.js';
import { busyTimes, timesTable } from './self-times.js';
import { type BenchServers, serversCpuNote, startServers } from './servers.js';

const TASKS = 10_000;
const WARM_UP = 1_000;
const CONNECTIONS = 64;

const profilePipeline = async (tasks: number, servers: BenchServers | undefined): Promise<void> => {
  const at = servers && { brokers: servers.brokers, redisUrl: servers.redisUrl, prefix: servers.freshPrefix('profile') };
  const pipeline = await startPipeline(at === undefined ? {} : { servers: at });
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
    const serversBefore = servers?.cpu();
    const { begin, end } = await driveClosed(
      pipeline.port,
      work.map((task) => task.request),
      CONNECTIONS,
    );
    await pipeline.waitFor(WARM_UP + tasks);
    const cpu = cpuMsOf(pipeline.pid) - cpuBefore;
    const others = servers && serversBefore ? `, ${serversCpuNote(serversBefore, servers.cpu(), tasks)}` : '';
    const profile = await pipeline.stopProfile();
    const last = Math.max(...pipeline.completed.values());
    const file = join(cacheDir(), 'bench', 'pipeline.cpuprofile');
    await writeFile(file, JSON.stringify(profile));
    const { times, total } = busyTimes(profile);
    const rates = `${((tasks / (last - begin)) * 1_000).toFixed(0)} tasks/s, ${((tasks / (end - begin)) * 1_000).toFixed(0)} submissions/s`;
    process.stdout.write(
      `${tasks} tasks: ${rates}, ${(cpu / tasks).toFixed(3)} CPU ms a task (all threads, profiler included), ` +
        `main thread busy ${(total / tasks).toFixed(0)} us a task${others}\n\n${timesTable(times, tasks, 'task')}\n\nwhole profile: ${file}\n`,
    );
  } finally {
    await pipeline.stop();
  }
};

// The processes that are measured end when this one goes.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const { values, positionals } = parseArgs({ allowPositionals: true, options: { kafka: { type: 'boolean', default: false } } });
const servers = values.kafka ? await startServers() : undefined;
try {
  await profilePipeline(Number(positionals[0] ?? TASKS), servers);
} finally {
  await servers?.stop();
}
