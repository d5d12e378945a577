import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DataOf, NODES, newId } from '../../schemas/index.js';
import { type Log, outgoing } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { sayOn } from '../draft.js';
import { stamp } from '../host/index.js';
import { type Admission, followAdmission } from './admission.js';

type Word = 'dats.node.cordoned' | 'dats.node.uncordoned' | 'dats.node.drained';

let log: Log;
let admission: Admission | undefined;
beforeEach(() => {
  log = openMemoryLog({ partitions: 1 });
});
afterEach(async () => {
  await admission?.close();
  await log.close();
});

const say = async <T extends Word>(type: T, data: DataOf<T>): Promise<void> => {
  const draft = { ...sayOn(NODES, data.node_id, type, data.node_id, data), chain: { projectid: 'default', correlationid: newId() } };
  const by = { source: '/gateway', actor: 'ada', configversion: 'c', time: '2026-11-27T00:00:00.000Z' };
  await log.append([outgoing(NODES, stamp(draft, by), data.node_id)]);
};
const follow = async (node = 'edge-1'): Promise<Admission> => {
  admission = followAdmission({ log, node, onProblem: (error) => expect.unreachable(String(error)) });
  await admission.ready;
  return admission;
};
const until = (state: Parameters<Admission['changed']>[0]) => admission!.changed(state, AbortSignal.timeout(5_000));

describe('whether a node takes new work', () => {
  it('is so from the beginning', async () => {
    expect((await follow()).isOpen()).toBe(true);
  });

  it('is what was asked last, and is known again after a restart', async () => {
    await say('dats.node.cordoned', { node_id: 'edge-1', by: 'ada' });
    expect((await follow()).state()).toBe('cordoned');
    await say('dats.node.uncordoned', { node_id: 'edge-1', by: 'ada' });
    await until('cordoned');
    expect(admission!.state()).toBe('open');
    await admission!.close();
    await say('dats.node.cordoned', { node_id: 'edge-1', by: 'ada', drain: true });
    expect((await follow()).state()).toBe('draining');
  });

  it('is over when it was drained, until somebody opens it', async () => {
    await say('dats.node.cordoned', { node_id: 'edge-1', by: 'ada', drain: true });
    await say('dats.node.drained', { node_id: 'edge-1' });
    await say('dats.node.cordoned', { node_id: 'edge-1', by: 'ada', drain: true });
    expect((await follow()).state()).toBe('drained');
    await say('dats.node.uncordoned', { node_id: 'edge-1', by: 'ada' });
    await until('drained');
    expect(admission!.state()).toBe('open');
  });

  it('is drained only where that was asked', async () => {
    await say('dats.node.cordoned', { node_id: 'edge-1', by: 'ada' });
    await say('dats.node.drained', { node_id: 'edge-1' });
    expect((await follow()).state()).toBe('cordoned');
  });

  it('is not what was asked of another node', async () => {
    await say('dats.node.cordoned', { node_id: 'edge-2', by: 'ada' });
    await log.append([{ topic: NODES, key: 'edge-1', headers: {}, value: 'no event' }]);
    expect((await follow()).isOpen()).toBe(true);
  });
});
