#!/usr/bin/env node
// The real servers that DATS runs against, started natively: for tests, for CI, and for whoever has no Docker.
// One set a checkout (its folder: DATS_SERVERS_DIR); tests that need their own use index.mjs.
import { join } from 'node:path';
import { environmentLines } from './env.mjs';
import { isFailure } from './failure.mjs';
import { kafkaServer } from './kafka.mjs';
import { llamaProgram, llamaServer } from './llama.mjs';
import { ollamaProgram, ollamaServer } from './ollama.mjs';
import { redisServer } from './redis.mjs';
import { registryServer } from './registry.mjs';
import { BASE, MODELS, settingsFrom } from './settings.mjs';
import { startServer, statusOf, stopServer } from './supervise.mjs';
import { DEMO_MEDIUM, DEMO_SMALL } from './toy-models.mjs';
import { askedIn } from './words.mjs';

const COMMAND = 'node deploy/local/servers.mjs';
const USAGE = `Usage: ${COMMAND} up [names] [--fresh]       start them, wait until they answer
       ${COMMAND} down [names]               stop them
       ${COMMAND} status [names] [--json]    ask them; exit code 0 when all are up, else 3
       ${COMMAND} env [names]                the settings with which DATS uses them
       ${COMMAND} build [names]              build the model servers, once a machine (up does it too)

Names: ${BASE.join(', ')}; models (${MODELS.join(', ')}), all. Without names, up means ${BASE.join(', ')}; env those that run; down all; status those
and the model servers that were started. --fresh empties their data first.
Environment: DATS_SERVERS_DIR (default .dats-servers), DATS_SERVERS_KAFKA_PORT, DATS_SERVERS_KAFKA_CONTROLLER_PORT, DATS_SERVERS_REDIS_PORT,
DATS_SERVERS_REGISTRY_PORT, DATS_SERVERS_OLLAMA_PORT, DATS_SERVERS_LLAMA_PORT, DATS_SERVERS_MAVEN_URL (a mirror, for the registry), XDG_CACHE_HOME
(downloads and what was built), JAVA_HOME. Go and pip are asked for sources: their own settings hold.
`;
const [EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ALL_UP] = [0, 1, 2, 3];

const serversOf = ({ dir, cache, ports }) => ({
  kafka: kafkaServer({ dir: join(dir, 'kafka'), cache, port: ports.kafka, controllerPort: ports.controller }),
  redis: redisServer({ dir: join(dir, 'redis'), port: ports.redis }),
  registry: registryServer({ dir: join(dir, 'registry'), cache, port: ports.registry }),
  ollama: ollamaServer({ dir: join(dir, 'ollama'), cache, port: ports.ollama, model: DEMO_SMALL }),
  llama: llamaServer({ dir: join(dir, 'llama'), cache, port: ports.llama, model: DEMO_MEDIUM }),
});
const PROGRAMS = { ollama: ollamaProgram, llama: llamaProgram };

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

/** Nobody misses a model server that was never asked for; one that is gone is missed. */
const counts = ({ name, up, ours, stalePid }) => !MODELS.includes(name) || up || ours || stalePid !== null;

const status = async (servers, { json, named }) => {
  const asked = await Promise.all(servers.map(statusOf));
  const found = named ? asked : asked.filter(counts);
  if (json) say(JSON.stringify(found, null, 2));
  else for (const one of found) say(row(one.name, wordFor(one), `${one.address}${remarkFor(one)}`));
  return found.every((one) => one.up) ? EXIT_OK : EXIT_NOT_ALL_UP;
};

const env = async (servers, { named }) => {
  const found = await Promise.all(servers.map(statusOf));
  const meant = named ? found : found.filter((one) => one.up);
  process.stdout.write(environmentLines(Object.fromEntries(meant.map(({ name, address }) => [name, address]))));
  if (meant.length > 0) return EXIT_OK;
  process.stderr.write(`none of the servers answers: start them (${COMMAND} up), or name those that are meant\n`);
  return EXIT_NOT_ALL_UP;
};

/** One after the other: each takes all cores, and the second needs the source that the first has fetched. */
const build = async (names, { cache }) => {
  for (const name of names) say(row(name, 'built', await PROGRAMS[name]({ cache })));
  return EXIT_OK;
};

const complain = (error) => {
  process.stderr.write(isFailure(error) ? `error: ${error.message}\n` : `${error?.stack ?? error}\n`);
};

const main = async (words) => {
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const asked = askedIn(words);
  const settings = settingsFrom();
  if (asked.command === 'build') return build(asked.names, settings);
  const all = serversOf(settings);
  const servers = asked.names.map((name) => all[name]);
  return { up, down, status, env }[asked.command](servers, asked);
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error);
  const misused = isFailure(error) && error.code === 'usage';
  if (misused) process.stderr.write(USAGE);
  process.exitCode = misused ? EXIT_USAGE : EXIT_FAILED;
}
