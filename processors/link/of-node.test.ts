// What is for a node itself (settings, what operators ask of it) is taken from the core alone.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CONFIG,
  CONFIG_LOG_KEY,
  type DataOf,
  LIFECYCLE,
  LINK,
  LINKED_FROM,
  LINKED_TOPIC,
  NODES,
  newId,
  OUTBOX,
  type Topic,
} from '../../schemas/index.js';
import { type Log, outgoing, pause } from '../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { sayOn } from '../draft.js';
import { stamp } from '../host/index.js';
import { packRecords, receiveLink } from './index.js';

const LIMIT_MS = 5_000;
const never = new AbortController().signal;
let log: Log;
let problems: unknown[];
beforeEach(() => {
  log = openMemoryLog({ partitions: 1 });
  problems = [];
});
afterEach(() => log.close());

const say = async <T extends 'dats.node.joined' | 'dats.link.batch'>(type: T, node: string, data: DataOf<T>): Promise<void> => {
  const draft = { ...sayOn(LINK, node, type, node, data), chain: { projectid: 'default', correlationid: newId() } };
  const by = { source: '/gateway', actor: node, configversion: 'c', time: '2026-11-27T00:00:00.000Z' };
  await log.append([outgoing(LINK, stamp(draft, by), node)]);
};
/** `self` takes in what `from` had in its outbox. */
const takes = async (
  self: string,
  from: string,
  records: readonly { readonly to: string; readonly topic?: string; readonly value: string }[],
) => {
  const options = {
    views: openMemoryViewStore(),
    self,
    core: 'core',
    configVersion: () => 'c',
    now: () => 1,
    onProblem: (error: unknown) => void problems.push(error),
  };
  const membership = await log.join('link', [LINK], (assignment) => receiveLink(assignment, options));
  await say('dats.node.joined', from, {
    node_id: from,
    store_id: 'a-store-of-it',
    version: '1',
    roles: '',
    models: [],
    slots: {},
    projects: [],
  });
  const packed = records.map(({ to, topic, value }, offset) => ({
    offset,
    key: to,
    headers: { projectid: 'p', ...(topic === undefined ? {} : { [LINKED_TOPIC]: topic }) },
    value,
  }));
  const place = { node_id: from, epoch: 1, topic: OUTBOX, partition: 0, first: 0, next: records.length } as const;
  await say('dats.link.batch', from, { ...place, ...(await packRecords(packed)) });
  const deadline = performance.now() + LIMIT_MS;
  while ((await log.lag('link', [LINK])).some(({ lag }) => lag > 0) && performance.now() < deadline) await pause(1, never);
  await membership.leave();
};
const standing = async (topic: Topic) => {
  const { end } = await log.range(topic, 0);
  const found: string[] = [];
  if (end > 0)
    for await (const batch of log.read({ topic, partition: 0, offset: 0 }, never, { until: end }))
      for (const { key, value, headers } of batch)
        if (headers.type === undefined)
          found.push([key, String(value), headers[LINKED_FROM] ?? '-', headers[LINKED_TOPIC] ?? '-'].join(' '));
  return found;
};

describe('what is for a node itself', () => {
  it('goes from the core to the topic that it names, under the key that it has there', async () => {
    await takes('edge-1', 'core', [
      { to: 'edge-1', topic: CONFIG, value: 'a setting' },
      { to: 'edge-1', topic: NODES, value: 'a command' },
      { to: 'edge-1', value: 'a task' },
    ]);
    expect(await standing(CONFIG)).toEqual([`${CONFIG_LOG_KEY} a setting 1/p0-0/core -`]);
    expect(await standing(NODES)).toEqual(['edge-1 a command 1/p0-1/core -']);
    expect(await standing(LIFECYCLE)).toEqual(['p a task - -']);
    expect(problems).toEqual([]);
  });

  it('is not taken from an edge node, whomever it is for; the rest of its batch is', async () => {
    await takes('core', 'edge-1', [
      { to: 'core', topic: CONFIG, value: 'a setting' },
      { to: 'edge-2', topic: NODES, value: 'a command' },
      { to: 'core', value: 'a task' },
      { to: 'edge-2', value: 'a task for another node' },
    ]);
    expect([await standing(CONFIG), await standing(NODES)]).toEqual([[], []]);
    expect(await standing(LIFECYCLE)).toEqual(['p a task - -']);
    expect(await standing(OUTBOX)).toEqual(['edge-2 a task for another node - -']);
    expect(problems).toHaveLength(2);
  });

  it('is not taken for a topic that others decide on', async () => {
    await takes('edge-1', 'core', [{ to: 'edge-1', topic: LIFECYCLE, value: 'a decision' }]);
    expect(await standing(LIFECYCLE)).toEqual([]);
    expect(problems).toHaveLength(1);
  });
});
