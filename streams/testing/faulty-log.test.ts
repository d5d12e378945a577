import { expect, test } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import type { Assignment } from '../log.js';
import { openMemoryLog } from '../memory/index.js';
import { faultyLog } from './faulty-log.js';
import { hold, Latch, readAll, record } from './log-driver.js';

const types = async (log: ReturnType<typeof faultyLog>) => (await readAll(log, LIFECYCLE, 0)).map((r) => r.type);

test('a failure before an append leaves nothing, a lost acknowledgement leaves the record', async () => {
  const log = faultyLog(openMemoryLog({ partitions: 1 }));
  log.failAt('append:before');
  log.failAt('append:acknowledgement');
  await expect(log.append([record('a')])).rejects.toMatchObject({ code: 'injected' });
  expect(await types(log)).toEqual([]);
  await expect(log.append([record('b')])).rejects.toMatchObject({ code: 'injected' });
  await log.append([record('c')]);
  expect(await types(log)).toEqual(['b', 'c']);
  expect(log.failures).toEqual(['append:before', 'append:acknowledgement']);
});

test('a failure before a commit leaves nothing, a lost acknowledgement leaves everything', async () => {
  const log = faultyLog(openMemoryLog({ partitions: 1 }));
  await log.append([record('in')]);
  const assigned = new Latch<Assignment>();
  const membership = await log.join('group', [LIFECYCLE], async (assignment) => {
    assigned.open(assignment);
    await hold(assignment);
  });
  const assignment = await assigned.reached;
  const commit = { next: 1, outputs: [record('out')], states: new Map([['s', 'x']]) };
  const broken = new Error('broken');
  log.failAt('commit:before', broken);
  await expect(assignment.commit(commit)).rejects.toBe(broken);
  expect([await types(log), await assignment.state('s')]).toEqual([['in'], undefined]);
  log.failAt('commit:acknowledgement');
  await expect(assignment.commit(commit)).rejects.toMatchObject({ code: 'injected' });
  expect(await types(log)).toEqual(['in', 'out']);
  expect(Buffer.from((await assignment.state('s'))!).toString()).toBe('x');
  await membership.leave();
});
