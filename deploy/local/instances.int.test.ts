// The instances for tests, with real servers. The first run on a machine downloads them.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { type LocalKafka, startKafka, startRedis, startRegistry } from './index.mjs';
import { consumed, produced, withTopic } from './testing/kafka-client.js';

const run = promisify(execFile);
const RUN_LIMIT_MS = 60_000;

/** Whether anybody accepts a connection on this port. */
const connected = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

describe('an instance of a test', () => {
  it('of Kafka that was killed comes back with its data at its address', async () => {
    const kafka: LocalKafka = await startKafka();
    try {
      await withTopic(kafka.brokers, 'facts');
      await produced(kafka.brokers, 'facts', ['before']);
      const first = kafka.pid;
      await kafka.kill();
      expect(kafka.pid).toBeNull();
      expect(await kafka.isUp()).toBe(false);
      await kafka.start();
      expect(kafka.pid).not.toBe(first);
      await produced(kafka.brokers, 'facts', ['after']);
      expect(await consumed(kafka.brokers, 'facts', 2)).toEqual(['before', 'after']);
    } finally {
      await kafka.close();
    }
    expect(existsSync(kafka.dir)).toBe(false);
  });

  it('of Kafka that cannot start says which log to read and how it ends', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'dats-kafka-'));
    const problem: unknown = await startKafka({ dir, settings: { 'metric.reporters': 'no.such.Reporter' } }).catch(
      (error: unknown) => error,
    );
    const log = join(dir, 'kafka.log');
    expect(problem).toMatchObject({ code: 'not_answering', message: expect.stringContaining(`log ${log}:`) });
    expect((problem as Error).message).toMatch(/ended while it started \(exit code 1\)[\s\S]*no\.such\.Reporter/);
    expect(existsSync(log)).toBe(true);
    rmSync(dir, { recursive: true, force: true });
  });

  it('of the registry that was killed keeps its schemas and their ids', async () => {
    const registry = await startRegistry();
    const asked = async (path: string, body?: object): Promise<unknown> => {
      const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
      const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
      return (await fetch(`${registry.url}${path}`, init)).json();
    };
    try {
      const schema = JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object', title: 'kept' });
      const { id } = (await asked('/subjects/kept-value/versions', { schemaType: 'JSON', schema })) as { id: number };
      await registry.kill();
      await registry.start();
      expect(await asked('/subjects')).toEqual(['kept-value']);
      expect(await asked(`/schemas/ids/${id}`)).toMatchObject({ schemaType: 'JSON', schema });
    } finally {
      await registry.close();
    }
  });

  it('of Redis stops, starts and ends with its folder', async () => {
    const redis = await startRedis();
    await redis.stop();
    expect(await redis.isUp()).toBe(false);
    await redis.start();
    expect(await redis.isUp()).toBe(true);
    await redis.close();
    await redis.close();
    expect([redis.pid, existsSync(redis.dir)]).toEqual([null, false]);
  });

  it('does not outlive the process that started it', async () => {
    const script = `
      import { startRedis } from ${JSON.stringify(new URL('./index.mjs', import.meta.url).href)};
      const { dir, address, isUp } = await startRedis();
      console.log(JSON.stringify({ dir, address, up: await isUp() }));
      process.exit(0);`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { timeout: RUN_LIMIT_MS });
    const { dir, address, up } = JSON.parse(stdout) as { dir: string; address: string; up: boolean };
    expect(up).toBe(true);
    expect(existsSync(dir)).toBe(false);
    const port = Number(new URL(address).port);
    await vi.waitFor(async () => expect(await connected(port)).toBe(false));
  });
});
