// The table of flows (schemas/channels.ts) against the code: what the sources say, and what a node of every role writes.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DatsClient } from '../cli/client/index.js';
import { configurationOf, type RunningNode, startNode } from '../nodes/index.js';
import { CASCADE_TYPES } from '../processors/cascade/index.js';
import { fixed } from '../processors/index.js';
import { homesDecider } from '../processors/link/index.js';
import { routingDecider } from '../processors/routing/index.js';
import { schedulingDecider } from '../processors/scheduling/index.js';
import { eventOf } from '../processors/testing/index.js';
import {
  AUDIT,
  CONFIG,
  CONFIG_LOG_KEY,
  type DataOf,
  DLQ,
  EVENTS,
  eventTypesOn,
  FLOWS,
  LEDGER_KEY,
  LETTER,
  LIFECYCLE,
  NODES,
  QUOTA,
  type ReplayAccepted,
  type ReplayView,
  type Role,
  sentTo,
  serversSchema,
  TELEMETRY,
  TOPICS,
  type Topic,
  workTopic,
} from '../schemas/index.js';
import { type Log, outgoing, type Recorded } from '../streams/index.js';
import { eventually } from './support/eventually.js';

const LIMIT_MS = 15_000;
const LONG_MS = 60_000;
const SCRIPT = {
  version: 1,
  rules: [
    {
      match: { task: 'Write settings' },
      answers: ['{"a": 1,}', '{"a": 1}'].map((content) => ({ files: [{ path: 'settings.json', language: 'json', content }] })),
    },
    { match: { task: ['Never ends', 'Is cancelled'] }, answers: [{ text: 'late', latency_ms: LONG_MS }] },
    { match: { task: 'Is refused' }, answers: [{ fail: 'reject' }] },
  ],
};

const recordsOf = async (log: Log): Promise<readonly Recorded[]> => {
  const records: Recorded[] = [];
  for (const topic of TOPICS)
    for (let partition = 0; partition < log.partitions(topic); partition++) {
      const { first, end } = await log.range(topic, partition);
      if (first === end) continue;
      for await (const batch of log.read({ topic, partition, offset: first }, new AbortController().signal, { until: end }))
        records.push(...batch);
    }
  return records;
};

/** The letter or event type of a record. */
const messageOf = ({ topic, type, headers }: Recorded): string => {
  if (topic !== DLQ) return type;
  return headers[LETTER.id] === undefined ? 'dats.dead-letter.resolution' : 'dats.dead-letter';
};

/** What a node alone sends to a topic: not what it says only where there are others. */
const sentAlone = (topic: Topic): readonly string[] => {
  const sends = FLOWS.filter(({ action, topics, role }) => action === 'send' && role !== 'link' && topics.includes(topic));
  const ofSeveral = new Set(sends.filter(({ optional }) => optional === true).flatMap(({ messages }) => messages));
  return [...new Set(sends.flatMap(({ messages }) => messages))].filter((message) => !ofSeveral.has(message));
};

const GROUP_ROLES: Readonly<Record<string, Role>> = Object.fromEntries(
  FLOWS.flatMap(({ group, role }) => (group === undefined ? [] : [[group, role]])),
);
/** Who wrote an event: its source begins with it. A node's own telemetry comes from whichever role asked the model. */
const writersOf = (source: string): readonly Role[] => {
  const [, kind = '', name = ''] = source.split('/');
  if (kind === 'groups') return [GROUP_ROLES[name]!];
  return (
    ({ gateway: ['gateway'], deciders: ['deciders'], audit: ['deciders'], effects: ['workers'], nodes: ['gateway', 'workers'] } as const)[
      kind
    ] ?? []
  );
};

/** Something turns out bad: cascades, one of them cancelled, an alert, rollbacks; and history is replayed. */
const recover = async (
  node: RunningNode,
  client: DatsClient,
  { submit, settings }: { readonly submit: (description: string, options: object) => Promise<string>; readonly settings: string },
): Promise<void> => {
  const [artifact] = (await client.get(settings)).artifacts;
  const use = (
    await client.submit({ description: 'Write a poem', project_id: 'wide', depends_on: [settings], options: { qa_profile: 'syntax' } })
  ).task_id;
  await client.wait(use);
  const { cascades } = await client.taint({ model: 'recorded', project_id: 'wide', reason: 'all of it' });
  await client.cancelCascade(cascades[0]!.cascade_id!, { reason: 'not all of it' });
  expect((await client.waitForCascade(cascades[0]!.cascade_id!)).state).toBe('cancelled');
  const alert = await client.securityAlert({
    kind: 'secret_leaked',
    severity: 'high',
    artifact_id: artifact!.artifact_id,
    detail: 'a key',
  });
  await client.waitForCascade(alert.cascade_id!);
  const again = await client.taint({ model: 'recorded', project_id: 'wide', reason: 'after all' });
  await client.waitForCascade(again.cascades[0]!.cascade_id!);
  const cascade_id = again.cascades[0]!.cascade_id!;
  const { rollback_id } = await client.rollback({ cascade_id, tasks: 'keep' });
  await client.waitForRollback(rollback_id!);
  await client.waitForRollback((await client.rollback({ rollback_id: rollback_id! })).rollback_id!);
  await client.waitForRollback((await client.rollback({ cascade_id, tasks: 'requeue' })).rollback_id!);
  await submit('Write another poem', {});
  const replay = await client.http.json<ReplayAccepted>({ method: 'POST', path: '/api/v1/replay', json: { project_id: 'wide' } });
  const work: DataOf<'dats.work.requested'> = {
    task_id: 'nobody',
    kind: 'replay',
    attempt: 0,
    tier: 'small',
    domain: 'general',
    prompt_version: 'replay@1',
    context: { created: 0, inputs: [] },
    due: new Date(Date.now() + LONG_MS).toISOString(),
    replay_id: 'nobody',
  };
  const lost = eventOf('dats.work.requested', work, { projectid: 'wide', subject: 'nobody' });
  await node.log.append([outgoing(workTopic('replay'), { ...lost, source: '/gateway' }, 'nobody')]);
  await eventually('the end of the replay', LIMIT_MS, async () => {
    const { state } = await client.http.json<ReplayView>({ path: `/api/v1/replay/${replay.replay_id}`, query: { project_id: 'wide' } });
    return state === 'completed';
  });
};

describe('what a node writes', () => {
  let dir: string;
  let node: RunningNode;
  let records: readonly Recorded[];

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dats-channels-'));
    writeFileSync(join(dir, 'script.json'), JSON.stringify(SCRIPT));
    const { config, version, baseDir } = configurationOf(
      {
        version: 1,
        node: { data_dir: join(dir, 'data') },
        gateway: { port: 0 },
        log: { kind: 'memory' },
        models: [{ id: 'recorded', runner: 'scripted', script: join(dir, 'script.json'), tiers: ['small', 'medium', 'large'] }],
        scheduling: { backoff_base_ms: 0, projects: { narrow: { max_running: 1 } } },
        cascade: { per_second: 20 },
        audit: { every_s: 0.05 },
        quotas: {
          projects: { wide: { concurrency: 100 } },
          users: { poor: { tokens_total: 1 } },
          agents: { decompose: { tokens_total: 1 } },
        },
      },
      dir,
    );
    node = await startNode({ config, configVersion: version, baseDir, env: {} });
    const client = createClient({ baseUrl: node.url! });
    const submit = async (description: string, options: object, project_id = 'wide') =>
      (await client.submit({ description, project_id, options: { qa_profile: 'none', ...options } })).task_id;

    const started = [
      await submit('Write settings\nas JSON', { qa_profile: 'syntax' }),
      await submit('Write a poem', { tier: 'large' }),
      await submit('Do both:\n1. Write one.py\n2. Write two.py', { decompose: true }),
      await submit('Is refused', { max_attempts: 1 }),
      await submit('Never ends', { max_attempts: 1, timeout_s: 0.05 }),
    ];
    started.push((await client.submit({ description: 'Is too dear', project_id: 'wide', submitted_by: 'poor' })).task_id);
    const cancelled = await submit('Is cancelled', {}, 'narrow');
    started.push(cancelled, await submit('Write a waiting poem', {}, 'narrow'));
    await client.cancel(cancelled, { reason: 'not wanted' });
    const asked = async (path: string, body: object) =>
      (
        await fetch(`${node.url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).status;
    expect(await asked('/api/v1/decompose', { description: '1. Write one.py\n2. Write two.py' })).toBe(429);
    expect(await asked('/v1/chat/completions', { model: 'auto', messages: [{ role: 'user', content: 'hello' }] })).toBe(200);
    const poisoned: readonly Topic[] = [LIFECYCLE, workTopic('small')];
    await node.log.append(poisoned.map((topic) => ({ topic, key: 'wide', headers: {}, value: 'no event' })));
    for (const id of started) await client.wait(id);
    const letters = await eventually('a dead letter of the deciders and one of the workers', LIMIT_MS, async () => {
      const { items } = await client.deadLetters();
      return items.length === poisoned.length && items;
    });
    await client.resolveDeadLetter(letters[0]!.id, 'discard');
    await fetch(`${node.url}/api/v1/config/flags`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': '*' },
      body: JSON.stringify({ hedging: false }),
    });
    await client.resetQuota('project', 'wide', { reason: 'a test' });
    await recover(node, client, { submit, settings: started[0]! });
    records = await eventually('every message of the table', LIMIT_MS, async () => {
      const all = await recordsOf(node.log);
      const seen = new Set(all.map((record) => `${record.topic} ${messageOf(record)}`));
      const wanted = TOPICS.flatMap((topic) => sentAlone(topic).map((message) => `${topic} ${message}`));
      const missing = wanted.filter((one) => !seen.has(one));
      if (missing.length > 0) throw new Error(`the tasks of this test do not lead to ${missing.join(', ')}`);
      return all;
    });
  }, 5 * LIMIT_MS);
  afterAll(async () => {
    await node?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('stands on the topics of the table, every message of it, and nothing else', () => {
    const poison = ({ topic, type }: Recorded) => topic !== DLQ && type === '';
    for (const topic of TOPICS) {
      const seen = new Set(records.filter((record) => record.topic === topic && !poison(record)).map(messageOf));
      expect([topic, [...seen].sort()]).toEqual([topic, [...sentAlone(topic)].sort()]);
    }
  });

  it('is written by a role that sends it', () => {
    const events = records.filter(({ topic, headers }) => topic !== DLQ && headers['source'] !== undefined);
    expect(events.length).toBeGreaterThan(50);
    for (const { topic, type, headers } of events) {
      const senders = writersOf(headers['source']!).filter((role) => sentTo(topic, role).has(type as keyof typeof EVENTS));
      expect(senders, `${headers['source']} writes ${type} to ${topic}`).not.toEqual([]);
    }
  });

  it('has the key that the documents say: the project, the task, or who called or failed', () => {
    for (const { topic, key, headers, value } of records.filter(({ type }) => type !== '')) {
      const { node: caller, task_id } = JSON.parse(String(value)) as Record<string, unknown>;
      const groups = Object.keys(GROUP_ROLES);
      if (topic === LIFECYCLE || topic === AUDIT) expect(key).toBe(headers['projectid']);
      else if (topic === CONFIG) expect(key).toBe(CONFIG_LOG_KEY);
      else if (topic === QUOTA) expect(key).toBe(LEDGER_KEY);
      else if (topic === TELEMETRY) expect(caller === undefined ? groups : [caller]).toContain(key);
      else if (topic !== DLQ) expect(key).toBe(task_id);
    }
  });

  it('is shared out to the consumer groups of the table', async () => {
    const grouped = FLOWS.filter(({ group, optional }) => group !== undefined && optional !== true);
    expect(grouped.length).toBeGreaterThan(0);
    for (const { group, topics } of grouped)
      for (const { topic, partition, owner } of await node.log.lag(group!, topics))
        expect(owner, `${group} of ${topic}/${partition}`).toBeDefined();
  });
});

describe('the table', () => {
  it('has the deciders receive what they look at', () => {
    const { scheduling } = serversSchema.parse({ version: 1 });
    const consumed = new Set([
      ...routingDecider(fixed({ askModelBelow: 0, modelAvailable: false })).consumes,
      ...schedulingDecider(fixed(scheduling)).consumes,
      ...homesDecider({ self: 'core', homeOf: () => 'core', knows: () => true }).consumes,
    ]);
    const flow = FLOWS.find(({ role, verb }) => role === 'deciders' && verb === 'receive')!;
    expect([...flow.messages].sort()).toEqual([...consumed].sort());
    const traced = FLOWS.find(({ group }) => group === 'cascade')!;
    expect([...traced.messages].sort()).toEqual([...CASCADE_TYPES].sort());
  });

  it('has the deciders and the workers send what their sources say', () => {
    const root = new URL('../processors/', import.meta.url);
    const said = { deciders: new Set<string>(), workers: new Set<string>(), link: new Set<string>() };
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.includes('testing/'),
    );
    for (const name of files) {
      const makers = readFileSync(new URL(name, root), 'utf8').matchAll(/\b(?:say|sayOn|about)\([^;]*?'(dats\.[a-z.]+)'/g);
      const role = /^(scheduling|cascade|audit)\/|decider\.ts$/.test(name) ? 'deciders' : name.startsWith('link/') ? 'link' : 'workers';
      for (const [, type] of makers) said[role].add(type!);
    }
    const sent = (role: Role) =>
      new Set(
        TOPICS.filter((topic) => topic !== DLQ && topic !== TELEMETRY && topic !== AUDIT).flatMap((topic) => [...sentTo(topic, role)]),
      );
    for (const role of ['deciders', 'workers'] as const) expect([role, [...said[role]].sort()]).toEqual([role, [...sent(role)].sort()]);
    expect([...said.link].filter((type) => ![...sentTo(NODES, 'link'), ...sentTo(TELEMETRY, 'link')].some((one) => one === type))).toEqual(
      [],
    );
  });

  it('gives every event type a topic', () => {
    expect([...new Set(TOPICS.flatMap(eventTypesOn))].sort()).toEqual(Object.keys(EVENTS).sort());
  });
});
