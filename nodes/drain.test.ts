import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Admission, followAdmission } from '../processors/link/index.js';
import { LIFECYCLE, NODES, partitionOf, workTopic } from '../schemas/index.js';
import { type GroupLag, type Log, pause, type Recorded } from '../streams/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import { watchDrain } from './drain.js';

const LIMIT_MS = 5_000;
const GROUPS = [
  { group: 'core', topics: [LIFECYCLE] },
  { group: 'workers', topics: [workTopic('small')] },
] as const;

let log: Log;
let admission: Admission;
let over: AbortController;
let watching: Promise<void> | undefined;
let problems: unknown[];
beforeEach(async () => {
  log = openMemoryLog({ partitions: 1 });
  problems = [];
  over = new AbortController();
  admission = followAdmission({ log, node: 'edge-1', onProblem: (error) => problems.push(error) });
  await admission.ready;
});
afterEach(async () => {
  over.abort();
  await watching;
  await admission.close();
  await log.close();
});

const asks = async (type: 'dats.node.cordoned' | 'dats.node.uncordoned', data: object): Promise<void> => {
  const before = admission.state();
  const headers = {
    specversion: '1.0',
    id: `id-of-${Math.random()}`,
    source: '/gateway',
    type,
    time: '2026-11-27T00:00:00.000Z',
    subject: 'edge-1',
    datacontenttype: 'application/json',
    dataschema: `urn:dats:${type.slice('dats.'.length)}:1`,
    projectid: 'default',
    correlationid: 'c-1',
    actor: 'ada',
    configversion: 'c',
  };
  await log.append([{ topic: NODES, key: 'edge-1', headers, value: JSON.stringify({ node_id: 'edge-1', by: 'ada', ...data }) }]);
  await admission.changed(before, AbortSignal.timeout(LIMIT_MS));
};
const world = { busy: new Map<string, number>(), unsent: 0 as number | undefined, looks: 0, records: true };
beforeEach(() => {
  world.busy.clear();
  world.unsent = 0;
  world.looks = 0;
  world.records = true;
});
const lagOf = async (group: string): Promise<readonly GroupLag[]> => {
  world.looks += 1;
  return [{ topic: LIFECYCLE, partition: 0, committed: 0, end: 0, lag: world.busy.get(group) ?? 0, owner: undefined }];
};
/** What lies between a group and the end: records, or nothing but what a transaction leaves. */
async function* unread(): AsyncGenerator<readonly Recorded[]> {
  if (world.records) yield [{ topic: LIFECYCLE, partition: 0, offset: 0, key: 'p', headers: {}, value: '', type: '', timestamp: 0 }];
}
const watch = (unsent?: () => Promise<number | undefined>): void => {
  watching = watchDrain(
    {
      log: { lag: lagOf, read: unread, append: (records) => log.append(records) },
      node: 'edge-1',
      admission,
      groups: GROUPS,
      unsent,
      configVersion: () => 'c',
      time: () => '2026-11-27T00:00:00.000Z',
      lookMs: 1,
      onProblem: (error) => problems.push(error),
    },
    over.signal,
  );
};
const until = async (isIt: () => boolean): Promise<void> => {
  const deadline = performance.now() + LIMIT_MS;
  while (!isIt() && performance.now() < deadline) await pause(1, over.signal);
  expect(isIt()).toBe(true);
};
const looked = (): Promise<void> => {
  const from = world.looks;
  return until(() => world.looks >= from + 6);
};
const said = async (): Promise<number> => {
  const { end } = await log.range(NODES, partitionOf('edge-1', 1));
  let drained = 0;
  if (end > 0)
    for await (const batch of log.read({ topic: NODES, partition: 0, offset: 0 }, over.signal, { until: end }))
      drained += batch.filter(({ type }) => type === 'dats.node.drained').length;
  return drained;
};

describe('a node that is to be stopped', () => {
  it('can be when nothing runs any more, which is said once', async () => {
    watch();
    world.busy.set('workers', 1);
    await asks('dats.node.cordoned', { drain: true });
    await looked();
    expect(admission.state()).toBe('draining');
    world.busy.set('core', 1);
    world.busy.delete('workers');
    await looked();
    expect(admission.state()).toBe('draining');
    world.busy.delete('core');
    await until(() => admission.state() === 'drained');
    expect(await said()).toBe(1);
  });

  it('cannot be while the core lacks something of it, or nobody knows', async () => {
    world.unsent = undefined;
    watch(async () => world.unsent);
    await asks('dats.node.cordoned', { drain: true });
    await looked();
    world.unsent = 3;
    await looked();
    expect(admission.state()).toBe('draining');
    world.unsent = 0;
    await until(() => admission.state() === 'drained');
  });

  it('is not when it is only to take no new work, or is opened again', async () => {
    watch();
    await asks('dats.node.cordoned', {});
    world.busy.set('workers', 1);
    await asks('dats.node.cordoned', { drain: true });
    await looked();
    await asks('dats.node.uncordoned', {});
    world.busy.clear();
    await asks('dats.node.cordoned', {});
    expect(await said()).toBe(0);
    await asks('dats.node.cordoned', { drain: true });
    await until(() => admission.state() === 'drained');
    expect(await said()).toBe(1);
  });

  it('can be where what a group lacks are no records', async () => {
    watch();
    world.busy.set('core', 1);
    await asks('dats.node.cordoned', { drain: true });
    await looked();
    expect(admission.state()).toBe('draining');
    world.records = false;
    await until(() => admission.state() === 'drained');
  });

  it('is asked for again where the log did not answer', async () => {
    let fails = 1;
    watch(async () => {
      if (fails-- > 0) throw new Error('away');
      return 0;
    });
    await asks('dats.node.cordoned', { drain: true });
    await until(() => admission.state() === 'drained');
    expect(problems).toHaveLength(1);
  });
});
