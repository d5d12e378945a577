// The process under test: a whole node, forked by the bench and by the peers' harness. It tells over IPC what it completed.
//
// Environment: APP_PORT; BENCH_DIR (its data; whoever forks it removes it); BENCH_STATUS_PORT (answers GET /tasks/<bench id> by asking the API);
// BENCH_SERVERS (a NodeServers as JSON: the log on Kafka, the views in Redis); BENCH_LINK (a NodeLink as JSON: one of two nodes);
// BENCH_HISTORY (none: no history is kept).
// Messages out: {ready}, {done: [bench id, monotonic ms, ...]} every BATCH_MS, {profile}. In: {profile: 'start'|'stop'}, {stop: true}.
import { createServer } from 'node:http';
import { Session } from 'node:inspector/promises';
import { type NodeLink, type NodeServers, startBenchNode } from './bench-node.js';
import { followCompletions } from './completions.js';

/** Completions are told in batches, so that telling them costs the process next to nothing. */
const BATCH_MS = 20;
const PROFILE_INTERVAL_US = 200;

const port = Number(process.env.APP_PORT);
const { BENCH_DIR, BENCH_SERVERS, BENCH_LINK, BENCH_HISTORY } = process.env;
const servers = BENCH_SERVERS === undefined ? undefined : (JSON.parse(BENCH_SERVERS) as NodeServers);
const link = BENCH_LINK === undefined ? undefined : (JSON.parse(BENCH_LINK) as NodeLink);
const node = await startBenchNode({ dir: BENCH_DIR!, port, servers, link, history: BENCH_HISTORY !== 'none' });
const stopping = new AbortController();
const benchIds = new Map<string, string>();
const taskIds = new Map<string, string>();
let done: (string | number)[] = [];

const end = async (code: number): Promise<never> => {
  stopping.abort();
  await node.stop();
  process.exit(code);
};
const die = (why: unknown): void => {
  process.stderr.write(`bench: ${why instanceof Error ? why.stack : String(why)}\n`);
  void end(1);
};

const { ended } = await followCompletions(
  node.log,
  {
    created: (taskId, benchId) => {
      benchIds.set(taskId, benchId);
      taskIds.set(benchId, taskId);
    },
    completed: (taskId, at) => {
      if (done.length === 0)
        setTimeout(() => {
          const told = done;
          done = [];
          process.send?.({ done: told });
        }, BATCH_MS);
      done.push(benchIds.get(taskId)!, at);
    },
    failed: (taskId, type) => die(`task ${taskId} ended with ${type}`),
  },
  stopping.signal,
);
ended.catch(die);
void node.failed.then(die);

if (process.env.BENCH_STATUS_PORT !== undefined)
  createServer(async (request, response) => {
    const taskId = taskIds.get(request.url!.slice('/tasks/'.length));
    const answer = await fetch(`${node.url}/api/v1/tasks/${taskId}`);
    const body = await answer.text();
    response.writeHead(answer.status, { 'content-length': Buffer.byteLength(body) }).end(body);
  }).listen(Number(process.env.BENCH_STATUS_PORT), '127.0.0.1');

let session: Session | undefined;
const profile = async (order: 'start' | 'stop'): Promise<void> => {
  if (order === 'start') {
    session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: PROFILE_INTERVAL_US });
    await session.post('Profiler.start');
    process.send?.({ profiling: true });
  } else process.send?.({ profile: (await session!.post('Profiler.stop')).profile });
};

process.on('message', (message: { stop?: true; profile?: 'start' | 'stop' }) => {
  if (message.stop) void end(0);
  if (message.profile) profile(message.profile).catch(die);
});
process.on('disconnect', () => void end(0));
process.send?.({ ready: true });
