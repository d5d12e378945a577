// Records and schemas as others see them: a foreign client decodes what DATS wrote, with the registry's schemas; and what happens while the registry is away.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { Kafka, type KafkaMessage, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type DatsEvent, decode, EVENTS, LIFECYCLE } from '../../schemas/index.js';
import { eventOf, type Log, outgoing, type Recorded } from '../index.js';
import { describeWith } from '../testing/servers.js';
import type { SchemaIds } from './codec.js';
import { registerSchemas } from './registry.js';
import { registrySchemas } from './registry-schemas.js';
import { type KafkaHarness, kafkaHarness } from './testing/harness.js';
import { askRegistry, registryProxy, removeSubjects, subjectPrefix, subjectsUnder } from './testing/registry.js';
import { testBrokers, testRegistry } from './testing/servers.js';

/** How long a foreign client may take, in milliseconds. */
const FOREIGN_MS = 30_000;
const FIXTURES = new URL('../../schemas/fixtures/', import.meta.url);

/** The golden event of every version. */
const golden = (): readonly DatsEvent[] =>
  readdirSync(FIXTURES).map((name) => {
    const { headers, data } = JSON.parse(readFileSync(new URL(name, FIXTURES), 'utf8')) as {
      headers: Record<string, string>;
      data: unknown;
    };
    return decode(headers, JSON.stringify(data));
  });

describeWith(['kafka', 'registry'], 'with a real registry and broker', () => {
  const subjects = subjectPrefix();
  let harness: KafkaHarness;
  let ids: SchemaIds;
  const events = golden();
  const logs: Log[] = [];

  const open = async (...given: Parameters<KafkaHarness['open']>): Promise<Log> => {
    const log = await harness.open(...given);
    logs.push(log);
    return log;
  };
  const withIds = (known: SchemaIds = ids) => ({ schemaIds: async () => known });

  /** All events of a type in the log, as they were appended. */
  const recordsOf = async (log: Log, project: string): Promise<readonly Recorded[]> => {
    const found: Recorded[] = [];
    for (let partition = 0; partition < log.partitions(LIFECYCLE); partition++) {
      const { first, end } = await log.range(LIFECYCLE, partition);
      for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: first }, AbortSignal.timeout(FOREIGN_MS), { until: end }))
        found.push(...batch.filter(({ key }) => key === project));
    }
    return found;
  };

  /** The messages of a project as a foreign consumer gets them. */
  const consumed = async (project: string, count: number): Promise<readonly KafkaMessage[]> => {
    const kafka = new Kafka({ clientId: 'foreign', brokers: [...testBrokers()], logLevel: logLevel.NOTHING });
    const consumer = kafka.consumer({ groupId: `${harness.prefix}foreign.${project}` });
    const messages: KafkaMessage[] = [];
    try {
      await consumer.connect();
      await consumer.subscribe({ topic: harness.prefix + LIFECYCLE, fromBeginning: true });
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${messages.length} of ${count} messages after ${FOREIGN_MS} ms`)), FOREIGN_MS);
        const eachMessage = async ({ message }: { message: KafkaMessage }) => {
          if (message.key?.toString() === project) messages.push(message);
          if (messages.length < count) return;
          clearTimeout(late);
          resolve();
        };
        consumer.run({ eachMessage }).catch(reject);
      });
    } finally {
      await consumer.disconnect();
    }
    return messages;
  };

  const inProject = (project: string, event: DatsEvent): DatsEvent => ({ ...event, projectid: project });
  const appendAll = (log: Log, project: string, some: readonly DatsEvent[]) =>
    log.append(some.map((event) => outgoing(LIFECYCLE, inProject(project, event))));

  const headersIn = (message: KafkaMessage): Record<string, string> =>
    Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]));

  beforeAll(async () => {
    harness = kafkaHarness(testBrokers());
    ids = await registerSchemas({ url: testRegistry(), subjectPrefix: subjects });
  });
  afterAll(async () => {
    await Promise.all(logs.map((log) => log.close()));
    await harness.dispose();
    await removeSubjects(subjects);
  });

  describe('the registry', () => {
    it('has a subject for every event type, named like it, and the rule BACKWARD_TRANSITIVE on each', async () => {
      const expected = Object.keys(EVENTS).map((type) => subjects + type);
      expect(await subjectsUnder(subjects)).toEqual(expected.sort());
      for (const subject of expected)
        expect((await askRegistry(`/config/${subject}`)).body).toEqual({ compatibilityLevel: 'BACKWARD_TRANSITIVE' });
    });

    it('has each version under the id that we were given', async () => {
      expect([...ids.keys()].sort()).toEqual(
        registrySchemas()
          .map(({ dataschema }) => dataschema)
          .sort(),
      );
      for (const [dataschema, id] of ids) {
        const { schema } = (await askRegistry(`/schemas/ids/${id}`)).body as { schema: string };
        expect(JSON.parse(schema)).toMatchObject({ $id: dataschema });
      }
    });

    it.each([1, 2, 3])('gives many processes that start at once the same ids, and each version once (round %i)', async () => {
      const prefix = subjectPrefix();
      const schemas = registrySchemas().slice(0, 6);
      try {
        const all = await Promise.all(
          Array.from({ length: 8 }, () => registerSchemas({ url: testRegistry(), subjectPrefix: prefix, schemas })),
        );
        for (const one of all) expect(one).toEqual(all[0]);
        for (const type of new Set(schemas.map((one) => one.type))) {
          const versions = schemas.filter((one) => one.type === type).map((_, i) => i + 1);
          expect((await askRegistry(`/subjects/${prefix}${type}/versions`)).body).toEqual(versions);
        }
      } finally {
        await removeSubjects(prefix);
      }
    });

    it('is only read once everything is there', async () => {
      const proxy = await registryProxy((method, path) =>
        method === 'PUT' || path.endsWith('/versions') ? { status: 403, body: {} } : undefined,
      );
      await proxy.open();
      try {
        expect(await registerSchemas({ url: proxy.url, subjectPrefix: subjects })).toEqual(ids);
        expect(proxy.requests.length).toBe(ids.size);
      } finally {
        await proxy.close();
      }
    });
  });

  describe('a foreign client', () => {
    it('decodes every event with the registry alone, quietly, and sees the CloudEvents headers by their names', async () => {
      await appendAll(await open('writer', withIds()), 'decoded', events);
      const messages = await consumed('decoded', events.length);
      const warned = vi.spyOn(console, 'warn');
      const registry = new SchemaRegistry({ host: testRegistry() });
      for (const [i, event] of events.entries()) {
        const { value, headers } = { value: messages[i]!.value!, headers: headersIn(messages[i]!) };
        expect([value[0], value.readInt32BE(1)]).toEqual([0, ids.get(event.dataschema)]);
        expect(await registry.decode(value)).toEqual(event.data);
        expect(headers).toMatchObject({
          'content-type': 'application/json',
          ce_specversion: '1.0',
          ce_id: event.id,
          ce_source: event.source,
          ce_type: event.type,
          ce_time: event.time,
          ce_subject: event.subject,
          ce_dataschema: event.dataschema,
          ce_projectid: 'decoded',
          ce_correlationid: event.correlationid,
        });
        expect(Object.keys(headers).filter((name) => name !== 'content-type' && !/^ce_[a-z0-9]{1,20}$/.test(name))).toEqual([]);
      }
      expect(warned).not.toHaveBeenCalled();
      warned.mockRestore();
    });

    it('called kcat shows the headers', async () => {
      const [event] = events;
      await appendAll(await open('writer-2', withIds()), 'kcat', [event!]);
      const args = ['-b', testBrokers().join(','), '-C', '-q', '-t', harness.prefix + LIFECYCLE, '-o', 'beginning', '-e', '-f', '%k %h\n'];
      const { stdout } = await promisify(execFile)('kcat', args, { timeout: FOREIGN_MS }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') throw new Error('kcat is missing, which this test needs: install it (apt-get install kcat)');
        throw error;
      });
      const line = stdout.split('\n').find((one) => one.startsWith('kcat '))!;
      const headers = line.slice('kcat '.length).split(',');
      expect(headers).toEqual(
        expect.arrayContaining([`ce_type=${event!.type}`, `ce_dataschema=${event!.dataschema}`, 'content-type=application/json']),
      );
    });
  });

  describe('a log', () => {
    it('without the registry reads framed records, and one with it plain ones', async () => {
      const [framing, plain] = [await open('framing', withIds()), await open('plain')];
      const [event] = events;
      await appendAll(framing, 'both', [event!]);
      await appendAll(plain, 'both', [event!]);
      const firstBytes = (await consumed('both', 2)).map(({ value }) => value![0]);
      expect(firstBytes).toEqual([0, '{'.charCodeAt(0)]);
      for (const log of [framing, plain])
        expect((await recordsOf(log, 'both')).map(eventOf)).toEqual([inProject('both', event!), inProject('both', event!)]);
    });

    it('leaves a record of a future version as it is: unknown_version', async () => {
      const future = { ...inProject('future', events[0]!), dataschema: events[0]!.dataschema.replace(/:1$/, ':99') } as DatsEvent;
      const newer = await open('newer', withIds(new Map([...ids, [future.dataschema, 123_456]])));
      await newer.append([outgoing(LIFECYCLE, future)]);
      const older = await open('older', withIds());
      const [record] = await recordsOf(older, 'future');
      const bytes = Buffer.from(record!.value);
      expect([bytes[0], bytes.readInt32BE(1)]).toEqual([0, 123_456]);
      expect(JSON.parse(bytes.subarray(5).toString())).toEqual(future.data);
      expect(() => eventOf(record!)).toThrow(expect.objectContaining({ kind: 'terminal', code: 'unknown_version' }));
    });

    it('refuses to append while the registry is away, says why, and appends once it is there', async () => {
      const proxy = await registryProxy();
      const problems: unknown[] = [];
      const log = await open('early', {
        schemaIds: () => registerSchemas({ url: proxy.url, subjectPrefix: subjects }),
        onProblem: (error) => void problems.push(error),
      });
      try {
        await expect(appendAll(log, 'early', [events[0]!])).rejects.toMatchObject({ kind: 'retryable' });
        expect(problems).toContainEqual(
          expect.objectContaining({ kind: 'retryable', code: 'registry_unavailable', message: expect.stringContaining(proxy.url) }),
        );
        await proxy.open();
        await appendAll(log, 'early', [events[0]!]);
        const [message] = await consumed('early', 1);
        expect(message!.value!.readInt32BE(1)).toBe(ids.get(events[0]!.dataschema));
      } finally {
        await log.close();
        await proxy.close();
      }
    });
  });

  describe('a registry that does not do what is asked', () => {
    const failing = async (status: number, body: unknown = {}): Promise<unknown> => {
      const proxy = await registryProxy(() => ({ status, body }));
      await proxy.open();
      try {
        return await registerSchemas({ url: proxy.url }).catch((error: unknown) => error);
      } finally {
        await proxy.close();
      }
    };

    it('is asked again later when it is overloaded', async () => {
      for (const status of [500, 503, 429])
        expect(await failing(status)).toMatchObject({ kind: 'retryable', code: 'registry_unavailable' });
    });

    it('is not asked again when it refuses the credentials, or is none', async () => {
      expect(await failing(401)).toMatchObject({
        kind: 'fatal',
        code: 'registry_refused',
        message: expect.stringContaining('credentials'),
      });
      for (const [status, body] of [
        [404, {}],
        [404, { error_code: 404, message: 'HTTP 404 Not Found' }],
        [200, 'welcome'],
        [200, []],
      ] as const)
        expect(await failing(status, body)).toMatchObject({
          kind: 'fatal',
          code: 'registry_refused',
          message: expect.stringContaining('address'),
        });
    });

    it('is given up after the limit, when it takes the question and says nothing', async () => {
      const { createServer } = await import('node:net');
      const silent = createServer();
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      try {
        const { port } = silent.address() as { port: number };
        await expect(registerSchemas({ url: `http://user:secret@127.0.0.1:${port}`, timeoutMs: 300 })).rejects.toMatchObject({
          kind: 'retryable',
          code: 'registry_unavailable',
          message: expect.not.stringContaining('secret'),
        });
      } finally {
        silent.close();
      }
    });

    it('cannot lead to a wrong id where a registration fails half way: it is looked for', async () => {
      const prefix = subjectPrefix();
      const schemas = registrySchemas().slice(0, 1);
      const proxy = await registryProxy((method, path) =>
        method === 'POST' && path.endsWith('/versions') ? { status: 503, body: {} } : undefined,
      );
      await proxy.open();
      try {
        const options = { subjectPrefix: prefix, schemas };
        await expect(registerSchemas({ url: proxy.url, ...options })).rejects.toMatchObject({
          kind: 'retryable',
          code: 'registry_unavailable',
        });
        expect(await registerSchemas({ url: testRegistry(), ...options })).toEqual(
          new Map([[schemas[0]!.dataschema, ids.get(schemas[0]!.dataschema)]]),
        );
      } finally {
        await proxy.close();
        await removeSubjects(prefix);
      }
    });
  });
});
