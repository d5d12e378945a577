#!/usr/bin/env node
// The real servers that DATS runs against, started natively: for tests, for CI, and for whoever has no Docker.
// One set a checkout (its folder: DATS_SERVERS_DIR); tests that need their own use index.mjs.
import { join } from 'node:path';
import { environmentLines } from './env.mjs';
import { failure, isFailure } from './failure.mjs';
import { kafkaServer } from './kafka.mjs';
import { redisServer } from './redis.mjs';
import { registryServer } from './registry.mjs';
import { NAMES, settingsFrom } from './settings.mjs';
import { startServer, statusOf, stopServer } from './supervise.mjs';

const COMMAND = 'node deploy/local/servers.mjs';
const USAGE = `Usage: ${COMMAND} up [${NAMES.join('] [')}] [--fresh]   start them (all, unless named), wait until they answer
       ${COMMAND} down [names]                      stop them
       ${COMMAND} status [names] [--json]           ask them; exit code 0 when all are up, else 3
       ${COMMAND} env                               the settings with which DATS uses them

--fresh empties their data first. Environment: DATS_SERVERS_DIR (default .dats-servers), DATS_SERVERS_KAFKA_PORT,
DATS_SERVERS_KAFKA_CONTROLLER_PORT, DATS_SERVERS_REDIS_PORT, DATS_SERVERS_REGISTRY_PORT, DATS_SERVERS_MAVEN_URL (a mirror, for the registry), XDG_CACHE_HOME (downloads), JAVA_HOME.
`;
const [EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ALL_UP] = [0, 1, 2, 3];

const serversOf = ({ dir, cache, ports }) => ({
  kafka: kafkaServer({ dir: join(dir, 'kafka'), cache, port: ports.kafka, controllerPort: ports.controller }),
  redis: redisServer({ dir: join(dir, 'redis'), port: ports.redis }),
  registry: registryServer({ dir: join(dir, 'registry'), cache, port: ports.registry }),
});

const say = (text) => process.stdout.write(`${text}\n`);
const row = (name, word, rest) => `${name.padEnd(9)} ${word.padEnd(12)} ${rest}`;

const up = async (servers, { fresh }) => {
  const started = await Promise.allSettled(
    servers.map(async (server) => {
      const before = Date.now();
      const { pid, already } = await startServer(server, { fresh });
      const took = already ? 'was running' : `${((Date.now() - before) / 1000).toFixed(1)} s`;
      say(row(server.name, 'up', `${server.address}  (pid ${pid}, ${took}, log ${server.logs[0]})`));
    }),
  );
  const failed = started.filter((one) => one.status === 'rejected').map((one) => one.reason);
  for (const error of failed) complain(error);
  if (failed.length > 0) return EXIT_FAILED;
  say(`next: env $(${COMMAND} env) npm start     stop them: ${COMMAND} down`);
  return EXIT_OK;
};

const down = async (servers) => {
  const ends = await Promise.allSettled(servers.map(async (server) => [server.name, await stopServer(server)]));
  for (const end of ends) {
    if (end.status === 'rejected') complain(end.reason);
    else say(row(end.value[0], end.value[1], ''));
  }
  return ends.every((end) => end.status === 'fulfilled') ? EXIT_OK : EXIT_FAILED;
};

const wordFor = ({ up, pid }) => (up ? 'up' : pid ? 'not answering' : 'down');

const remarkFor = ({ up, ours, pid, stalePid, logs }) => {
  if (up && !ours) return '  (not started by this script)';
  if (stalePid) return `  (its process ${stalePid} is gone; log ${logs[0]})`;
  return pid ? `  (pid ${pid}, log ${logs[0]})` : '';
};

const status = async (servers, { json }) => {
  const found = await Promise.all(servers.map(statusOf));
  if (json) say(JSON.stringify(found, null, 2));
  else for (const one of found) say(row(one.name, wordFor(one), `${one.address}${remarkFor(one)}`));
  return found.every((one) => one.up) ? EXIT_OK : EXIT_NOT_ALL_UP;
};

const complain = (error) => {
  process.stderr.write(isFailure(error) ? `error: ${error.message}\n` : `${error?.stack ?? error}\n`);
};

const FLAGS = { up: ['--fresh'], down: [], status: ['--json'], env: [] };

const parsed = (words) => {
  const [command, ...rest] = words;
  if (!Object.hasOwn(FLAGS, command ?? ''))
    throw failure('usage', command === undefined ? 'say what to do' : `${command} is not a command`);
  const unknown = rest.find((word) => !FLAGS[command].includes(word) && !NAMES.includes(word));
  if (unknown !== undefined) throw failure('usage', `${command} does not know ${unknown}`);
  const names = NAMES.filter((name) => rest.includes(name));
  return { command, names: names.length > 0 ? names : NAMES, fresh: rest.includes('--fresh'), json: rest.includes('--json') };
};

const main = async (words) => {
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const asked = parsed(words);
  const all = serversOf(settingsFrom());
  const servers = asked.names.map((name) => all[name]);
  if (asked.command === 'up') return up(servers, asked);
  if (asked.command === 'down') return down(servers);
  if (asked.command === 'status') return status(servers, asked);
  process.stdout.write(environmentLines({ kafka: all.kafka.address, registry: all.registry.address, redis: all.redis.address }));
  return EXIT_OK;
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error);
  const misused = isFailure(error) && error.code === 'usage';
  if (misused) process.stderr.write(USAGE);
  process.exitCode = misused ? EXIT_USAGE : EXIT_FAILED;
}
