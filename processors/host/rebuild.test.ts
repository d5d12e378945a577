import { afterEach, beforeEach, expect, it } from 'vitest';
import { encode, Fault, LIFECYCLE, partitionOf } from '../../schemas/index.js';
import type { Log, Outgoing } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { deadLetter } from '../../streams/runtime/index.js';
import { eventOf } from '../testing/index.js';
import type { Fold } from './fold.js';
import { deadLettersOf, openRebuild, rebuildPartition } from './rebuild.js';

const SOURCE = '/deciders/core';
const PROJECT = 'p';
const never = new AbortController().signal;
let log: Log;
let partition: number;
let folded: string[];
let fold: Fold;

beforeEach(() => {
  log = openMemoryLog({ partitions: 2 });
  partition = partitionOf(PROJECT, log.partitions(LIFECYCLE));
  folded = [];
  fold = {
    consumes: new Set(['dats.task.cancel.requested', 'dats.task.cancelled']),
    replay: ({ subject }, offset) => void folded.push(`${subject}@${offset}`),
    take: () => [],
    takeOver: () => [],
    replayArrival: () => {},
    tick: () => [],
    nextDue: () => undefined,
    changes: () => new Map(),
  };
});
afterEach(() => log.close());

/** As another process would read it: without the event in memory. */
const requested = (
  subject: string,
  data: object = { task_id: subject, reason: 'r', by: 'b' },
  more: Record<string, string> = {},
): Outgoing => {
  const event = eventOf('dats.task.cancel.requested', { task_id: 'x', reason: 'r', by: 'b' }, { projectid: PROJECT });
  return { topic: LIFECYCLE, key: PROJECT, headers: { ...encode(event).headers, subject, ...more }, value: JSON.stringify(data) };
};
const own = (subject: string, afteroffset: number, more: Record<string, string> = {}): Outgoing =>
  requested(subject, { task_id: subject, reason: 'r', by: 'b' }, { source: SOURCE, afteroffset: String(afteroffset), ...more });

const buried = async (offset: number, group = 'core'): Promise<Outgoing> => {
  const record = (await log.get({ topic: LIFECYCLE, partition, offset }))!;
  return deadLetter(record, { group, fault: new Fault('terminal', 'bad_event', 'bad'), attempts: 1, firstFailedAt: 0, failedAt: 0 });
};

const rebuild = async (committed: number): Promise<readonly string[]> => {
  const deadLetters = (await deadLettersOf(log, 'core', LIFECYCLE, never))?.(partition);
  const { end } = await log.range(LIFECYCLE, partition);
  const rebuilding = { source: SOURCE, deadLetters, committed, end };
  expect(await rebuildPartition(log, fold, { topic: LIFECYCLE, partition }, rebuilding, never)).toBe(end);
  return folded;
};

it('a record that became a dead letter of the group is left out, whether or not its data would do; others’ dead letters are not', async () => {
  await log.append([requested('a'), requested('bad', { task_id: 1 }), requested('threw'), requested('b')]);
  await log.append([await buried(1), await buried(2), await buried(3, 'views')]);
  expect(await rebuild(4)).toEqual(['a@0', 'b@3']);
});

it('others’ records are folded where the group had read them, and not beyond what it has read', async () => {
  await log.append([requested('a'), requested('b'), own('after-a', 0), requested('unread', { task_id: 1 })]);
  expect(await rebuild(3)).toEqual(['a@0', 'after-a@0', 'b@1']);
});

it('an own event counts although it could not be read back, and once, although it was brought back', async () => {
  await log.append([requested('a'), own('said', 0), own('said', 0, { 'dlq.retried_from': 'p0-0' })]);
  await log.append([await buried(1)]);
  expect(await rebuild(3)).toEqual(['a@0', 'said@0']);
});

it('without the dead letters every record is decoded in full, and one that does not decode ends it', async () => {
  await log.append([requested('bad', { task_id: 1 })]);
  const record = (await log.get({ topic: LIFECYCLE, partition, offset: 0 }))!;
  const blind = openRebuild(fold, SOURCE);
  blind.take(record);
  expect(() => blind.finish(1)).toThrow(expect.objectContaining({ code: 'bad_event' }));
  expect(folded).toEqual([]);
});
