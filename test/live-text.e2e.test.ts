// What a model says, seen while it says it by whoever asks another process: over a shared disk, and over Redis beside Kafka. None of it is in the log.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createParser } from 'eventsource-parser';
import { afterEach, describe, expect, it } from 'vitest';
import { addressOf, describeWith } from '../streams/testing/servers.js';
import { type Api, apiOf, isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { type Fleet, startFleet } from './support/fleet.js';
import { ENTRY, freePort, testFolder, tidy } from './support/node-process.js';

const READY_LIMIT_MS = 60_000;
const SAID = Array.from({ length: 20 }, (_, i) => `remark-${i} `).join('');
/** Said slowly enough that a look at the task falls into it, on a slow machine too. */
const SPEAKING = { text: SAID, chunk_chars: 10, chunk_latency_ms: 100 };
const SCRIPT = JSON.stringify({
  version: 1,
  rules: [
    {
      match: {},
      answers: [
        { ...SPEAKING, files: [{ path: 'data.json', language: 'json', content: '{"answer": ' }] },
        { ...SPEAKING, files: [{ path: 'data.json', language: 'json', content: '{"answer": 42}' }] },
      ],
    },
  ],
});
const MEMBERS = ['deciders', 'workers', 'workers'];

interface Started {
  readonly fleet: Fleet;
  readonly api: Api;
}
const start = async (config: object): Promise<Started> => {
  const folder = testFolder(
    {
      version: 1,
      node: { id: 'live', data_dir: './data' },
      models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'] }],
      scheduling: { backoff_base_ms: 20, backoff_max_ms: 100 },
      ...config,
    },
    { 'script.json': SCRIPT },
  );
  const port = await freePort();
  const fleet = startFleet(folder.config, [{ roles: 'gateway', port }, ...MEMBERS]);
  const api = apiOf(`http://127.0.0.1:${port}`);
  await eventually('a ready gateway', READY_LIMIT_MS, async () => (await fetch(`${api.url}/health/ready`)).ok);
  return { fleet, api };
};

interface TextSeen {
  readonly type: string;
  readonly attempt: number;
  readonly text: string;
}

/** The stream of a task to its end; `onFirst` when the first text is there. */
const streamed = async (api: Api, id: string, onFirst: () => Promise<void>): Promise<readonly TextSeen[]> => {
  const response = await fetch(`${api.url}/api/v1/tasks/${id}/stream`);
  expect(response.status).toBe(200);
  const seen: TextSeen[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => void seen.push({ type: event ?? '', ...(JSON.parse(data) as object) } as TextSeen),
  });
  const decoder = new TextDecoder();
  let first = true;
  for await (const chunk of response.body!) {
    parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    if (first && seen.some(({ type }) => type === 'text')) {
      first = false;
      await onFirst();
    }
  }
  return seen;
};

/** `dats watch <task> --stream` as a process of its own. */
const watched = (api: Api, id: string, onFirst: () => Promise<void>): Promise<{ readonly code: number | null; readonly out: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [ENTRY, 'watch', id, '--stream', '--url', api.url], { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (out === '') onFirst().catch(reject);
      out += chunk.toString('utf8');
    });
    child.on('close', (code) => resolve({ code, out }));
  });

const textOf = (seen: readonly TextSeen[], attempt: number): string =>
  seen.flatMap((event) => (event.type === 'text' && event.attempt === attempt ? [event.text] : [])).join('');

const showsWhatIsSaid = async ({ fleet, api }: Started): Promise<void> => {
  const id = await api.submitted({ project_id: 'live', description: 'say it', options: { qa_profile: 'syntax' } });
  const runs = async (): Promise<void> => expect(isFinal(await api.task(id))).toBe(false);
  const [seen, cli] = await Promise.all([streamed(api, id, runs), watched(api, id, runs)]);
  expect(seen.at(-1)).toEqual({ type: 'final', state: 'completed' });
  expect(seen.filter(({ type }) => type === 'gap')).toEqual([]);
  for (const attempt of [1, 2]) expect(textOf(seen, attempt)).toContain(SAID);
  expect(seen.filter(({ type }) => type === 'text').length).toBeGreaterThan(40);
  expect(cli.code).toBe(0);
  expect(cli.out).toContain(SAID);
  expect(cli.out.split('remark-19 ').length).toBe(3);

  const late = await streamed(api, id, async () => undefined);
  for (const attempt of [1, 2]) expect(textOf(late, attempt)).toBe(textOf(seen, attempt));
  const events: string[] = [];
  for await (const { event } of api.stream(`/api/v1/tasks/${id}/events`)) events.push(JSON.stringify(event));
  expect(events.length).toBeGreaterThan(5);
  expect(events.filter((event) => event.includes('remark-'))).toEqual([]);
  expect(fleet.deaths).toEqual([]);
  expect(await fleet.stop()).toEqual([0, 0, 0, 0]);
};

describe('live text across processes', () => {
  afterEach(tidy);

  it('on one disk', async () => showsWhatIsSaid(await start({ log: { partitions: 2 } })));

  describeWith(['kafka', 'redis'], 'on Kafka and Redis', () => {
    it('through Redis', async () => {
      const prefix = `t${randomBytes(4).toString('hex')}.`;
      await showsWhatIsSaid(
        await start({
          log: { kind: 'kafka', partitions: 2, kafka: { brokers: addressOf('kafka').split(','), prefix } },
          views: { kind: 'redis', redis: { url: addressOf('redis'), prefix: `${prefix}:` } },
        }),
      );
    });
  });
});
