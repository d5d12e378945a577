// A CPU profile of a node that answers chat completions: `node dist/bench/chat-profile.js [calls] [--stream] [--clients 16]`. The whole profile goes to a file.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openHttpLane } from './chat-lanes.js';
import { startChatNode } from './chat-node.js';
import { startUpstream } from './model-upstream.js';
import { cpuMsOf } from './pipeline-process.js';
import { cacheDir } from './places.js';
import { busyTimes, timesTable } from './self-times.js';
import { percentile } from './statistics.js';

const CALLS = 10_000;
const WARM_UP = 2_000;
const CHUNKS = 16;
const KEEP_ALIVE_MS = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { stream: { type: 'boolean', default: false }, clients: { type: 'string', default: '16' }, model: { type: 'string' } },
});
const calls = Number(positionals[0] ?? CALLS);

const profileChat = async (port: number, count: number): Promise<readonly number[]> => {
  const latencies: number[] = [];
  let next = 0;
  const lane = { name: 'node', port, ...(values.model === undefined ? {} : { model: values.model }) };
  await Promise.all(
    Array.from({ length: Number(values.clients) }, async () => {
      const client = openHttpLane(lane, `word${CHUNKS - 1}`);
      while (next++ < count) latencies.push((await client.ask(values.stream)).totalMs);
      client.close();
    }),
  );
  return latencies;
};

// The processes that are measured end when this one goes.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const upstream = await startUpstream({ chunks: CHUNKS, chunkMs: 0, keepAliveMs: KEEP_ALIVE_MS });
try {
  const node = await startChatNode(upstream.port);
  try {
    await profileChat(node.port, WARM_UP);
    await node.startProfile();
    const [cpu, begin] = [cpuMsOf(node.pid), performance.now()];
    const latencies = await profileChat(node.port, calls);
    const [took, used] = [performance.now() - begin, cpuMsOf(node.pid) - cpu];
    const profile = await node.stopProfile();
    const file = join(cacheDir(), 'bench', 'chat.cpuprofile');
    await writeFile(file, JSON.stringify(profile));
    const { times, total } = busyTimes(profile);
    process.stdout.write(
      `${calls} calls, ${values.clients} at once: ${((calls / took) * 1_000).toFixed(0)}/s, p50 ${percentile(latencies, 0.5).toFixed(2)} ms, ` +
        `${(used / calls).toFixed(3)} CPU ms a call (all threads, profiler included), main thread busy ${(total / calls).toFixed(0)} us a call\n\n` +
        `${timesTable(times, calls, 'call')}\n\nwhole profile: ${file}\n`,
    );
  } finally {
    await node.stop();
  }
} finally {
  await upstream.stop();
}
