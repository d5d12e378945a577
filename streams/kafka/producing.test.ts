// Batches and their sequence numbers, before a leader that does what the test says. (That a real broker writes a repeated batch once is in the contract.)
import { MultipleErrors, NetworkError, ProtocolError, produceV9 } from '@platformatic/kafka';
import { describe, expect, test } from 'vitest';
import type { Cluster } from './cluster.js';
import type { Message } from './codec.js';
import { BATCH_BYTES, Sequences, sendBatches } from './producing.js';

const message = (text: string, { topic = 'a', partition = 0, bytes = 0 } = {}): Message => ({
  topic,
  partition,
  key: Buffer.from(text),
  value: Buffer.alloc(bytes),
  headers: new Map(),
  timestamp: 0n,
});

/** A request as a leader got it: the keys of each place, and the sequence numbers that they had. */
interface Request {
  readonly leader: number;
  readonly batches: Readonly<Record<string, readonly string[]>>;
  readonly sequences: Readonly<Record<string, number>>;
}
type Outcome = 'answered' | 'lost' | Readonly<Record<string, string>>;

/**
 * Leaders of partitions of the same number. `outcomes` says what comes of each request in turn: an answer, none, or errors by place (the other places are
 * written); after the last all are answered.
 */
const leaders = (outcomes: readonly Outcome[] = []) => {
  const requests: Request[] = [];
  const ends = new Map<string, number>();
  const forgotten: string[] = [];
  const call = async (leader: number, _purpose: string, api: unknown, ...args: readonly unknown[]) => {
    expect(api).toBe(produceV9.api);
    const [acks, , messages, { sequences }] = args as [number, number, Message[], { sequences: Sequences }];
    expect(acks).toBe(-1);
    const batches: Record<string, string[]> = {};
    for (const { topic, partition, key } of messages) {
      const place = `${topic}:${partition}`;
      batches[place] = [...(batches[place] ?? []), key.toString()];
    }
    const places = Object.keys(batches);
    requests.push({ leader, batches, sequences: Object.fromEntries(places.map((place) => [place, sequences.getWithDefault(place, 0)])) });
    const outcome = outcomes[requests.length - 1] ?? 'answered';
    if (outcome === 'lost') throw new NetworkError('the connection is gone');
    const refused = outcome === 'answered' ? {} : outcome;
    const responses = places.map((place) => {
      const [name, index] = place.split(':');
      const baseOffset = ends.get(place) ?? 100;
      if (refused[place] === undefined) ends.set(place, baseOffset + batches[place]!.length);
      return {
        name,
        partitionResponses: [{ index: Number(index), errorCode: refused[place] === undefined ? 0 : 1, baseOffset: BigInt(baseOffset) }],
      };
    });
    const errors = places.flatMap((place) => (refused[place] === undefined ? [] : [new ProtocolError(refused[place])]));
    if (errors.length > 0) throw new MultipleErrors('refused', errors, { response: { responses } });
    return { responses };
  };
  const cluster = {
    call,
    leader: async (_topic: string, partition: number) => partition,
    forgetTopic: (topic: string) => void forgotten.push(topic),
  } as unknown as Cluster;
  return { requests, forgotten, cluster };
};

const sending = (cluster: Cluster, sequences = new Sequences()) => ({
  cluster,
  producer: { id: 7n, epoch: 0 },
  sequences,
  persistence: { forMs: 5_000, firstMs: 1, longestMs: 1 },
});

describe('sequence numbers', () => {
  test('begin at 0, advance by what was written, and wrap behind the largest of 31 bits', () => {
    const sequences = new Sequences();
    expect(sequences.getWithDefault('a:0', 0)).toBe(0);
    sequences.advance('a:0', 5);
    sequences.advance('a:0', 2);
    expect([sequences.get('a:0'), sequences.get('a:1')]).toEqual([7, undefined]);
    sequences.set('a:0', 0x7fffffff);
    sequences.advance('a:0', 1);
    expect(sequences.get('a:0')).toBe(0);
    sequences.set('a:0', 0x7ffffffe);
    sequences.advance('a:0', 5);
    expect(sequences.get('a:0')).toBe(3);
  });

  test('of a partition go on from batch to batch, whatever others do', async () => {
    const { cluster, requests } = leaders();
    const sequences = new Sequences();
    await sendBatches([message('a1'), message('a2'), message('b1', { topic: 'b' })], sending(cluster, sequences));
    await sendBatches([message('a3')], sending(cluster, sequences));
    expect(requests.map((request) => request.sequences)).toEqual([{ 'a:0': 0, 'b:0': 0 }, { 'a:0': 2 }]);
    expect([...sequences]).toEqual([
      ['a:0', 3],
      ['b:0', 1],
    ]);
  });

  test('stay the same when the answer is lost: the broker tells a repeated batch by them (S1)', async () => {
    const { cluster, requests } = leaders(['lost', 'lost']);
    const sequences = new Sequences(new Map([['a:0', 40]]));
    const written = await sendBatches([message('a1'), message('a2')], sending(cluster, sequences));
    expect(requests).toEqual(Array(3).fill({ leader: 0, batches: { 'a:0': ['a1', 'a2'] }, sequences: { 'a:0': 40 } }));
    expect(sequences.get('a:0')).toBe(42);
    expect([...written]).toEqual([['a:0', [{ base: 100, count: 2 }]]]);
  });
});

describe('batches', () => {
  test('keep the order of a partition, and those of one leader share a request', async () => {
    const { cluster, requests } = leaders();
    const messages = [
      message('x1'),
      message('y1', { partition: 1 }),
      message('x2'),
      message('z1', { topic: 'z' }),
      message('y2', { partition: 1 }),
    ];
    const written = await sendBatches(messages, sending(cluster));
    expect(requests.map(({ leader, batches }) => [leader, batches])).toEqual([
      [0, { 'a:0': ['x1', 'x2'], 'z:0': ['z1'] }],
      [1, { 'a:1': ['y1', 'y2'] }],
    ]);
    expect([...written]).toEqual([
      ['a:0', [{ base: 100, count: 2 }]],
      ['a:1', [{ base: 100, count: 2 }]],
      ['z:0', [{ base: 100, count: 1 }]],
    ]);
  });

  test('are no larger than a topic takes, but for a record that is larger alone', async () => {
    const { cluster, requests } = leaders();
    const half = BATCH_BYTES / 2 - 1;
    const messages = [
      message('1', { bytes: half }),
      message('2', { bytes: half }),
      message('3'),
      message('4', { bytes: BATCH_BYTES + 1 }),
      message('5'),
      message('6', { partition: 1 }),
    ];
    const sequences = new Sequences();
    const written = await sendBatches(messages, sending(cluster, sequences));
    expect(requests.map(({ batches }) => batches)).toEqual([
      { 'a:0': ['1', '2'] },
      { 'a:1': ['6'] },
      { 'a:0': ['3'] },
      { 'a:0': ['4'] },
      { 'a:0': ['5'] },
    ]);
    expect(requests.map((request) => request.sequences['a:0'])).toEqual([0, undefined, 2, 3, 4]);
    expect(written.get('a:0')).toEqual([
      { base: 100, count: 2 },
      { base: 102, count: 1 },
      { base: 103, count: 1 },
      { base: 104, count: 1 },
    ]);
  });

  test('that were written are not sent again when another of the request was refused, and a refused topic is looked up again', async () => {
    const { cluster, requests, forgotten } = leaders([{ 'b:0': 'NOT_LEADER_OR_FOLLOWER' }]);
    const sequences = new Sequences();
    const written = await sendBatches([message('a1'), message('b1', { topic: 'b' })], sending(cluster, sequences));
    expect(requests.map(({ batches }) => batches)).toEqual([{ 'a:0': ['a1'], 'b:0': ['b1'] }, { 'b:0': ['b1'] }]);
    expect(forgotten).toEqual(['b']);
    expect([...written.values()]).toEqual([[{ base: 100, count: 1 }], [{ base: 100, count: 1 }]]);
    expect([...sequences.values()]).toEqual([1, 1]);
  });

  test('none are sent for no messages', async () => {
    const { cluster, requests } = leaders();
    expect(await sendBatches([], sending(cluster))).toEqual(new Map());
    expect(requests).toEqual([]);
  });
});

describe('what cannot be sent', () => {
  test('for good is said at once: fenced, too large, written before', async () => {
    for (const [said, kind, code] of [
      ['INVALID_PRODUCER_EPOCH', 'fenced', 'fenced'],
      ['MESSAGE_TOO_LARGE', 'terminal', 'record_too_large'],
      ['DUPLICATE_SEQUENCE_NUMBER', 'terminal', 'written_before'],
      ['TOPIC_AUTHORIZATION_FAILED', 'fatal', 'log_refused'],
    ] as const) {
      const { cluster, requests } = leaders([{ 'a:0': said }]);
      const sequences = new Sequences();
      await expect(sendBatches([message('a1')], sending(cluster, sequences)), said).rejects.toMatchObject({ kind, code });
      expect(requests).toHaveLength(1);
      expect(sequences.size).toBe(0);
    }
  });

  test('in time is a retryable Fault, and its numbers have not advanced', async () => {
    const { cluster } = leaders(Array(10_000).fill('lost'));
    const sequences = new Sequences();
    const brief = { ...sending(cluster, sequences), persistence: { forMs: 20, firstMs: 1, longestMs: 1 } };
    await expect(sendBatches([message('a1')], brief)).rejects.toMatchObject({ kind: 'retryable', code: 'log_unavailable' });
    expect(sequences.size).toBe(0);
  });
});
