// The real servers of the integration tests, started once a run: vitest's global setup of the projects `int` and `e2e`.
//
// S1. Where CI is set, a server that cannot be had fails the run. Elsewhere its tests are skipped, and the reason is printed here and in their names.
//     The model servers are built by CI before its tests; elsewhere they run where they have been built, and no test run builds them by surprise.
// S2. Every run has its own: free ports, temporary folders, removed at the end. What they are downloaded into is shared.
import type { TestProject } from 'vitest/node';
import { type LocalServer, startKafka, startLlama, startOllama, startRedis, startRegistry } from '../../deploy/local/index.mjs';
import type { ServerName, TestServer } from '../../streams/testing/servers.js';

const inCi = (): boolean => (process.env['CI'] ?? '') !== '' && process.env['CI'] !== 'false';

const STARTS: Readonly<Record<ServerName, () => Promise<{ readonly server: LocalServer; readonly address: string }>>> = {
  kafka: async () => {
    const server = await startKafka();
    return { server, address: server.brokers };
  },
  redis: async () => {
    const server = await startRedis();
    return { server, address: server.url };
  },
  registry: async () => {
    const server = await startRegistry();
    return { server, address: server.url };
  },
  ollama: async () => {
    const server = await startOllama({ build: inCi() });
    return { server, address: server.url };
  },
  llama: async () => {
    const server = await startLlama({ build: inCi() });
    return { server, address: server.url };
  },
};

export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const running: LocalServer[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(running.map((server) => server.close())));
  const start = async (name: ServerName): Promise<TestServer> => {
    try {
      const { server, address } = await STARTS[name]();
      running.push(server);
      return { address };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (inCi()) throw new Error(`${name} cannot be had, and CI must have it: ${why}`, { cause: error });
      console.warn(`\n!! ${name} cannot be had here, so its tests are SKIPPED: ${why}\n`);
      return { missing: why };
    }
  };
  const names = Object.keys(STARTS) as ServerName[];
  const outcomes = await Promise.allSettled(names.map(start));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) {
    await stop();
    throw failure.reason;
  }
  for (const [index, name] of names.entries()) project.provide(name, (outcomes[index] as PromiseFulfilledResult<TestServer>).value);
  return stop;
};

export default setup;
