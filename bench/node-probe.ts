// Loaded into a node before its own code (`node --import`): what only the process itself can tell, over HTTP on a port of its own. The node does not know of it.
//
// Environment: PROBE_PORT. GET /memory collects garbage and answers a ProbedMemory; /profile/start and /profile/stop are a CPU profile.
import { createServer, type ServerResponse } from 'node:http';
import { Session } from 'node:inspector/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface ProbedMemory {
  /** After a full collection, in bytes. */
  readonly heapUsed: number;
  readonly external: number;
  /** What keeps the process alive, by kind: sockets, timers, servers. */
  readonly resources: Readonly<Record<string, number>>;
}

const PROFILE_INTERVAL_US = 100;
/** What one collection frees by callbacks (weak references, finalisers) the next one sees. */
const COLLECTIONS = 3;

const port = process.env.PROBE_PORT;
// Processes that the node starts have their own life.
delete process.env.PROBE_PORT;
delete process.env.NODE_OPTIONS;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const memory = async (): Promise<ProbedMemory> => {
  for (let i = 0; i < COLLECTIONS; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapUsed, external, resources };
};

const session = new Session();
const startProfile = async (): Promise<object> => {
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: PROFILE_INTERVAL_US });
  await session.post('Profiler.start');
  return {};
};
const ROUTES: Readonly<Record<string, () => Promise<object>>> = {
  '/memory': memory,
  '/profile/start': startProfile,
  '/profile/stop': async () => (await session.post('Profiler.stop')).profile,
};

const answer = async (path: string, response: ServerResponse): Promise<void> => {
  const body = JSON.stringify(await ROUTES[path]?.());
  response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(body);
};

if (port !== undefined)
  createServer((request, response) => {
    answer(request.url ?? '/', response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  })
    .listen(Number(port), '127.0.0.1')
    .unref();
