// Changing settings while whole installations run: how soon every process knows, what is decided under them, and that a change is there once, whoever is killed.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ConfigVersions, type DatsEvent, LIFECYCLE, partitionOf } from '../schemas/index.js';
import { eventOf, pause } from '../streams/index.js';
import { openLmdbStorage } from '../streams/lmdb/index.js';
import { describeWith } from '../streams/testing/servers.js';
import { type Api, apiOf, isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { type Fleet, startFleet } from './support/fleet.js';
import { allReady, atWork, type Installation, openInstallation, type Servers, startServers } from './support/installation.js';
import { freePort, type TestFolder, testFolder, tidy } from './support/node-process.js';
import { change, median, schedulingOf, toldAt } from './support/settings.js';
import { dependencyOf } from './support/small-installation.js';

const ROLES = ['gateway', 'gateway', 'deciders', 'workers'] as const;
const PARTITIONS = 4;
const SCRIPT = JSON.stringify({
  version: 1,
  rules: [{ match: {}, answers: [{ files: [{ path: 'data.json', language: 'json', content: '{"answer": 42}' }] }] }],
});
const CHANGES = 9;
/** From the request to the last process that knows (the number), in milliseconds: of the changes the middle one, as the machine may be busy. */
const KNOWN_WITHIN_MS = 1_000;
const TOLD_WITHIN_MS = 20_000;
const ENDED_WITHIN_MS = 30_000;
const KILLS = Number(process.env['DATS_CONFIG_KILLS'] ?? 5);
/** How long a process runs between two looks, in milliseconds. */
const SLICE_MS = 1;
const WRITERS = 10;
const TOLD = { DATS_LOG_LEVEL: 'info' };
afterEach(tidy);

interface Running {
  readonly fleet: Fleet;
  readonly apis: readonly Api[];
}

/** When each process told that it knows a version. */
const toldBy = (fleet: Fleet, key: string, version: number): readonly (number | undefined)[] =>
  fleet
    .errors()
    .split(/^--- /m)
    .slice(1)
    .map((errors) => toldAt(errors, key, version));

/** How long after the request each change was known to the last process. */
const delaysOf = async ({ fleet, apis }: Running): Promise<readonly number[]> => {
  const delays: number[] = [];
  for (let version = 1; version <= CHANGES; version++) {
    const asked = Date.now();
    const answer = await change(apis[version % apis.length]!, 'scheduling', schedulingOf(version), `"${version - 1}"`);
    expect([answer.status, answer.body.version]).toEqual([200, version]);
    const last = await eventually(`version ${version} at every process`, TOLD_WITHIN_MS, () => {
      const times = toldBy(fleet, 'scheduling', version);
      return times.every((time) => time !== undefined) && Math.max(...(times as number[]));
    });
    delays.push(last - asked);
  }
  return delays;
};

const knownEverywhere = async (running: Running): Promise<void> => {
  const delays = await delaysOf(running);
  console.info(`a change was known to ${ROLES.length} processes after ${median(delays)} ms (median), ${Math.max(...delays)} ms at most`);
  expect(median(delays)).toBeLessThan(KNOWN_WITHIN_MS);
  for (const api of running.apis) {
    const { body } = await api.ask<{ config_version: string }>('GET', '/health');
    expect(body.config_version).toMatch(new RegExp(`^[0-9a-f]{12}\\+${CHANGES}$`));
  }
};

const oneWinnerAVersion = async ({ apis }: Pick<Running, 'apis'>): Promise<void> => {
  const before = (await apis[0]!.ask<{ version: number }>('GET', '/api/v1/config/prompts.analyse')).body.version;
  for (let version = before; version < before + 3; version++) {
    const answers = await Promise.all(
      Array.from({ length: WRITERS }, (_, n) =>
        change(apis[n % apis.length]!, 'prompts.analyse', { system: `${version} ${n}` }, `"${version}"`),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: WRITERS - 1 }, () => 412)]);
  }
};

/** What was decided and done for a task that was submitted right after a change was acknowledged, elsewhere. */
const decidedUnder = async ({ apis }: Running, eventsOf: (project: string) => Promise<readonly DatsEvent[]>): Promise<void> => {
  const [here, there] = apis;
  const { body } = await change(here!, 'prompts.generate', { system: 'Answer with one file.' }, '*');
  const task = await there!.submitted({ project_id: 'later', description: 'write it', options: { qa_profile: 'syntax' } });
  const view = await eventually('the end of the task', ENDED_WITHIN_MS, async () => {
    const found = await there!.task(task);
    return isFinal(found) && found;
  });
  expect(view.state).toBe('completed');
  const events = await eventsOf('later');
  const changesIn = (version: string) => Number(version.split('+')[1] ?? 0);
  const own = events.filter(({ subject }) => subject === task);
  for (const { type, configversion } of own)
    if (type !== 'dats.task.created') expect([type, changesIn(configversion) >= changesIn(own[0]!.configversion)]).toEqual([type, true]);
  expect(changesIn(body.config_version)).toBeGreaterThan(0);
  const prompts = own.flatMap(({ type, data }) =>
    type === 'dats.task.output.created' || type === 'dats.task.ready' ? data.prompt_version : [],
  );
  expect(prompts).toEqual([`generate@1.${body.version}`, `generate@1.${body.version}`]);
};

/** Lets the first gateway go on for an instant at a time until another process knows the version: it is likely frozen before it can answer. */
const untilWritten = (fleet: Fleet, version: number): Promise<unknown> =>
  eventually('a change that is written', TOLD_WITHIN_MS, () => {
    if (toldBy(fleet, 'flags', version)[1] !== undefined) return true;
    fleet.thaw(0);
    for (const end = performance.now() + SLICE_MS; performance.now() < end; );
    fleet.freeze(0);
    return false;
  });

/** A change is sent to a gateway that is killed at some moment around it; then it is sent again, elsewhere. */
const onceWhoeverIsKilled = async ({ fleet, apis }: Running): Promise<void> => {
  const [victim, other] = apis;
  const seen = { unanswered: 0, written: 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    const before = (await other!.ask<{ version: number }>('GET', '/api/v1/config/flags')).body.version;
    // The first append of a process takes longer than all others.
    expect((await change(victim!, 'access', { allow: [`model-${kill}`] }, '*')).status).toBe(200);
    const value = { hedging: kill % 2 === 0, openai_endpoint: true };
    const answer = change(victim!, 'flags', value, `"${before}"`).catch(() => undefined);
    if (kill % 2 === 0) await pause(kill);
    else await untilWritten(fleet, before + 1);
    await fleet.crash(0);
    const isUnanswered = (await answer) === undefined;
    const again = await eventually('an answer of the other gateway', ENDED_WITHIN_MS, async () => {
      const found = await change(other!, 'flags', value, `"${before}"`);
      return found.status < 500 && found;
    });
    expect([again.status, again.body.version]).toEqual([200, before + 1]);
    if (isUnanswered) seen.unanswered++;
    if (isUnanswered && !again.body.changed) seen.written++;
    await allReady([victim!]);
  }
  const { versions } = (await other!.ask<ConfigVersions>('GET', '/api/v1/config/flags/versions')).body;
  expect(versions.map(({ version }) => version)).toEqual(versions.map((_, i) => versions.length - 1 - i));
  expect(versions).toHaveLength(KILLS + 1);
  expect(seen.written).toBeGreaterThan(0);
  console.info(`${KILLS} kills: ${seen.unanswered} before the answer, ${seen.written} of them when the change was written already`);
};

describe('on one data folder', () => {
  let folder: TestFolder;
  let running: Running;
  beforeAll(async () => {
    const ports = [await freePort(), await freePort()];
    folder = testFolder(
      {
        version: 1,
        node: { id: 'config', data_dir: './data' },
        log: { partitions: PARTITIONS },
        models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }],
      },
      { 'script.json': SCRIPT },
    );
    const members = ROLES.map((roles, i) => ({ roles, ...(ports[i] === undefined ? {} : { port: ports[i] }) }));
    running = { fleet: startFleet(folder.config, members, TOLD), apis: ports.map((port) => apiOf(`http://127.0.0.1:${port}`)) };
    await allReady(running.apis);
    for (const name of ['deciders', 'workers'])
      await eventually(`owners of ${name}`, ENDED_WITHIN_MS, async () => (await dependencyOf(running.apis[0]!, name)).ok);
  });

  it('a change is known, decided under, there once, and the race of its writers has one winner', async () => {
    await knownEverywhere(running);
    const storage = () => openLmdbStorage({ dir: `${folder.dir}/data/log`, node: 'test', partitions: PARTITIONS });
    await decidedUnder(running, async (project) => {
      const { log, views } = await storage();
      const partition = partitionOf(project, PARTITIONS);
      const { end } = await log.range(LIFECYCLE, partition);
      const events: DatsEvent[] = [];
      for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: 0 }, new AbortController().signal, { until: end }))
        events.push(...batch.map(eventOf));
      await Promise.all([log.close(), views.close()]);
      return events;
    });
    await oneWinnerAVersion(running);
    await onceWhoeverIsKilled(running);
    expect(running.fleet.deaths).toEqual([]);
    expect(await running.fleet.stop()).toEqual(ROLES.map(() => 0));
  });
});

describeWith(['kafka', 'redis'], 'on Kafka', () => {
  let servers: Servers;
  let installation: Installation | undefined;
  beforeAll(async () => {
    servers = await startServers();
  });
  afterEach(() => installation?.close());
  afterAll(() => servers.close());

  it('a change is known, decided under, there once, and the race of its writers has one winner', async () => {
    installation = await openInstallation({ servers, members: ROLES, script: SCRIPT, env: TOLD });
    const { fleet, apis, log } = installation;
    for (const member of ROLES.keys()) await atWork(installation, member);
    await knownEverywhere({ fleet, apis });
    await decidedUnder({ fleet, apis }, async (project) => {
      const partition = partitionOf(project, PARTITIONS);
      const { first, end } = await log.range(LIFECYCLE, partition);
      const events: DatsEvent[] = [];
      for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: first }, new AbortController().signal, { until: end }))
        events.push(...batch.map(eventOf));
      return events;
    });
    await oneWinnerAVersion({ apis });
    await onceWhoeverIsKilled({ fleet, apis });
    expect(fleet.deaths).toEqual([]);
    expect(await fleet.stop()).toEqual(ROLES.map(() => 0));
  });
});
