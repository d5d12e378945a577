// The door for tests: servers of their own, on free ports, in folders of their own, that may be killed and started again.
//
// I1. An instance keeps its ports and its data over kill(), stop() and start(); close() ends it, and removes the folder if it was made here.
// I2. None outlives the process that started it, unless that one is itself killed with SIGKILL.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure } from './failure.mjs';
import { lives } from './identity.mjs';
import { kafkaServer } from './kafka.mjs';
import { llamaServer } from './llama.mjs';
import { ollamaServer } from './ollama.mjs';
import { portIsFree } from './probe.mjs';
import { redisServer } from './redis.mjs';
import { registryServer } from './registry.mjs';
import { cacheDir } from './settings.mjs';
import { killServer, leftBehind, processOf, startServer, statusOf, stopServer } from './supervise.mjs';
import { TINY } from './toy-models.mjs';

export { environment } from './env.mjs';

/** Below what systems give to outgoing connections: while a killed broker is away, nobody else may get its port. */
const [LOWEST_PORT, HIGHEST_PORT] = [20_000, 32_000];
const TRIES = 50;
const TEST_HEAP_MIB = 384;
/** A killed broker comes back in 3.5 s instead of 5.5; a broker under load may want more time, so this is not what `up` has. */
const QUICK_SESSION = { 'broker.session.timeout.ms': 1_500, 'broker.heartbeat.interval.ms': 300 };

const START_TRIES = 3;
/** How all of them say in their logs that a port was taken. */
const TAKEN = /in use/i;

/** A port of 127.0.0.1 where nobody listens now, outside the range of outgoing connections. */
export const freePort = async () => {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT));
    if (await portIsFree(port)) return port;
  }
  throw failure(
    'no_free_port',
    `no free port was found between ${LOWEST_PORT} and ${HIGHEST_PORT} in ${TRIES} tries. End servers that are not needed any more.`,
  );
};

/** Living instances of this process, ended with it. */
const open = new Set();
const endAll = () => {
  for (const { server, own } of open) {
    const running = processOf(server);
    if (running && lives(running)) process.kill(running.pid, 'SIGKILL');
    for (const { pid } of leftBehind(server)) process.kill(pid, 'SIGKILL');
    if (own) rmSync(server.dir, { recursive: true, force: true, maxRetries: 5 });
  }
};

const remember = (entry) => {
  if (open.size === 0) process.once('exit', endAll);
  open.add(entry);
};

const forget = (entry) => {
  open.delete(entry);
  if (open.size === 0) process.off('exit', endAll);
};

/** @param {(dir: string) => object} serverIn */
const instance = async (name, dir, serverIn) => {
  const own = dir === undefined;
  const server = serverIn(dir ?? mkdtempSync(join(tmpdir(), `dats-${name}-`)));
  const entry = { server, own };
  remember(entry);
  const close = async () => {
    await killServer(server);
    if (own) rmSync(server.dir, { recursive: true, force: true, maxRetries: 5 });
    forget(entry);
  };
  try {
    await startServer(server);
  } catch (error) {
    // Where it has written a log its folder stays: the message names it.
    if (own && !server.logs.some((log) => existsSync(log))) rmSync(server.dir, { recursive: true, force: true });
    forget(entry);
    throw error;
  }
  return {
    address: server.address,
    port: server.ports[0],
    dir: server.dir,
    logs: server.logs,
    get pid() {
      return processOf(server)?.pid ?? null;
    },
    isUp: async () => (await statusOf(server)).up,
    start: async () => {
      await startServer(server);
    },
    stop: async () => {
      await stopServer(server);
    },
    kill: () => killServer(server),
    close,
  };
};

/** Somebody else may take a free port before the server does: then another one is tried, where the caller did not ask for one. */
const onFreePort = async (given, start) => {
  for (let tried = 1; ; tried += 1) {
    try {
      return await start(given ?? (await freePort()));
    } catch (error) {
      const mayHelp = error.code === 'port_taken' || (error.code === 'not_answering' && TAKEN.test(error.message));
      if (given !== undefined || !mayHelp || tried === START_TRIES) throw error;
    }
  }
};

export const startKafka = ({ dir, port, controllerPort, heapMiB = TEST_HEAP_MIB, settings = {}, cache = cacheDir() } = {}) =>
  onFreePort(port, async (chosen) => {
    const ports = { port: chosen, controllerPort: controllerPort ?? (await freePort()) };
    const all = { ...QUICK_SESSION, ...settings };
    return withName(
      'brokers',
      await instance('kafka', dir, (folder) => kafkaServer({ dir: folder, cache, ...ports, heapMiB, settings: all })),
    );
  });

export const startRedis = ({ dir, port } = {}) =>
  onFreePort(port, async (chosen) => withName('url', await instance('redis', dir, (folder) => redisServer({ dir: folder, port: chosen }))));

export const startRegistry = ({ dir, port, cache = cacheDir() } = {}) =>
  onFreePort(port, async (chosen) =>
    withName('url', await instance('registry', dir, (folder) => registryServer({ dir: folder, cache, port: chosen }))),
  );

const startModels = (name, serverOf, { dir, port, cache = cacheDir(), build = true, model = TINY, ...more }) =>
  onFreePort(port, async (chosen) => {
    const serverIn = (folder) => serverOf({ dir: folder, cache, port: chosen, build, model, ...more });
    return Object.assign(withName('url', await instance(name, dir, serverIn)), { model });
  });

export const startOllama = (options = {}) => startModels('ollama', ollamaServer, options);

export const startLlama = (options = {}) => startModels('llama', llamaServer, options);

/** The address under the name that its clients use; added to the object itself, whose `pid` is read anew each time. */
const withName = (name, one) => Object.assign(one, { [name]: one.address });
