import { describe, expect, it } from 'vitest';
import { eventOf } from '../../processors/testing/index.js';
import { type DataOf, LIFECYCLE, NO_PROJECT, NODES, newId, OUTBOX, type Topic } from '../../schemas/index.js';
import { outgoing, type Recorded } from '../../streams/index.js';
import { repeatedKinds, repetitions, restoredCores } from './repetitions.js';

const record = (offset: number, id: string, more: Readonly<Record<string, string>> = {}, topic: Topic = LIFECYCLE): Recorded => ({
  topic,
  partition: 0,
  offset,
  key: 'docs',
  headers: { id, source: '/gateway', ...more },
  value: '{}',
  type: 'dats.task.created',
  timestamp: 0,
});
const times = (count: number, id: string, more?: Readonly<Record<string, string>>, topic?: Topic): readonly Recorded[] =>
  Array.from({ length: count }, (_, offset) => record(offset, id, more, topic));

describe('events that are repeated', () => {
  it('as often as the ways between nodes explain, are well', () => {
    expect(repetitions('core', [...times(8, 'a'), ...times(8, 'a', {}, OUTBOX), ...times(1, 'b')])).toEqual([]);
  });

  it('more often, are told by kind, with where they came from', () => {
    const told = repetitions('core', [...times(9, 'a', { linkedfrom: '1/p0-3/edge-1', movesknown: '2' }), ...times(20, 'b')]);
    expect(told).toHaveLength(1);
    const lines = told[0]!.split('\n');
    expect(lines[0]).toBe('core: 2 events stand there 29 times: dats.task.created by /gateway under docs in dats.lifecycle');
    expect(lines[1]).toBe('  a, 9 times');
    expect(lines[2]).toBe('    p0-0 at 1970-01-01T00:00:00.000Z 1/p0-3/edge-1 knows 2');
    expect(lines.filter((line) => line.includes('said here'))).toHaveLength(12);
    expect(lines.at(-1)).toContain('p0-19');
  });

  it('are counted by kind, the most first', () => {
    const others = times(3, 'b', { source: '/effects/generate' });
    expect(repeatedKinds([...times(2, 'a'), ...times(1, 'c'), ...others])).toBe(
      '2 more of 1 dats.task.created by /effects/generate under docs in dats.lifecycle; 1 more of 1 dats.task.created by /gateway under docs in dats.lifecycle',
    );
  });
});

describe('a core that was taken for restored', () => {
  const registered = (node_id: string, epoch: number): Recorded => {
    const data: DataOf<'dats.node.registered'> = {
      version: '',
      roles: '',
      models: [],
      slots: {},
      projects: [],
      node_id,
      store_id: newId(),
      epoch,
      missing: [{ epoch: 1, topic: OUTBOX, partition: 3, records: 40 }],
    };
    const { headers, value } = outgoing(NODES, eventOf('dats.node.registered', data, { projectid: NO_PROJECT }) as never, node_id);
    return { ...record(0, '', {}, NODES), headers, value, type: 'dats.node.registered' };
  };

  it('is told with what was read again; its first life, and those of others, are well', () => {
    const told = restoredCores('edge-1', 'core', [registered('core', 1), registered('edge-1', 2), registered('core', 2)]);
    expect(told).toEqual([expect.stringMatching(/^edge-1: took the core for restored at .* read again 40 offsets of dats.outbox\/3$/)]);
  });
});
