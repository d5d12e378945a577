// A world whose processes are killed while something goes on in it: one process on the embedded log, or several on Kafka and Redis. Its model answers from a script.
import { join } from 'node:path';
import { apiOf, type HttpAnswer } from './api.js';
import { allReady, openInstallation, startServers } from './installation.js';
import { cleanUp, freePort, ready, startProcess, testFolder } from './node-process.js';
import { type Random, seededRandom, testSeed } from './random.js';
import { readLog, readWholeLog, type WholeLog } from './whole-log.js';

export interface KilledWorld {
  readonly random: Random;
  readonly kills: number;
  ask<T>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer<T>>;
  /** SIGKILL to a process, and its start again. */
  crash(): Promise<void>;
  /** Everything that was written. */
  log(): Promise<WholeLog>;
  close(): Promise<void>;
}

export interface KilledWorldOptions {
  /** Of its seed and its node. */
  readonly name: string;
  /** JSON of the recorded answers. */
  readonly script: string;
  /** Of servers.yaml, beside log, gateway and models. */
  readonly config: object;
  /** On the embedded log; on Kafka a third of them. */
  readonly kills: number;
}

const PARTITIONS = 2;

export const killedOnDisk = async ({ name, script, config, kills }: KilledWorldOptions): Promise<KilledWorld> => {
  const port = await freePort();
  const models = [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }];
  const servers = { version: 1, node: { id: name, data_dir: './data' }, gateway: { port }, log: { partitions: PARTITIONS }, models };
  const folder = testFolder({ ...servers, ...config }, { 'script.json': script });
  const api = apiOf(`http://127.0.0.1:${port}`);
  let node = startProcess(folder.config);
  const again = async (): Promise<void> => {
    node = startProcess(folder.config);
    await ready(api.url, node);
  };
  await ready(api.url, node);
  return {
    random: seededRandom(testSeed(name)),
    kills,
    ask: api.ask,
    crash: async () => {
      await node.kill('SIGKILL');
      await again();
    },
    log: async () => {
      await node.kill('SIGTERM');
      const log = await readWholeLog(join(folder.dir, 'data'), PARTITIONS);
      await again();
      return log;
    },
    close: cleanUp,
  };
};

const MEMBERS = ['gateway', 'deciders', 'deciders', 'workers', 'workers'];

export const killedOnKafka = async ({ name, script, config, kills }: KilledWorldOptions): Promise<KilledWorld> => {
  const servers = await startServers();
  const installation = await openInstallation({ servers, members: MEMBERS, script, config });
  const random = seededRandom(testSeed(`${name} on Kafka`));
  await allReady(installation.apis);
  return {
    random,
    kills: Math.ceil(kills / 3),
    ask: installation.apis[0]!.ask,
    crash: () => installation.fleet.crash(random.int(0, MEMBERS.length - 1)),
    log: () => readLog(installation.log),
    close: async () => {
      await installation.close();
      await cleanUp();
      await servers.close();
    },
  };
};
