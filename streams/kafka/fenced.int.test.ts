// What only Kafka does: it fences a producer whose process is well, when a transaction took too long or somebody opened its id by mistake.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import type { Assignment, Log } from '../log.js';
import { Collector, hold, Latch, record, text } from '../testing/log-driver.js';
import { addressOf, describeWith } from '../testing/servers.js';
import { Cluster } from './cluster.js';
import { readState } from './state-topic.js';
import { type KafkaHarness, kafkaHarness } from './testing/harness.js';
import { physicalTopic, stateTopic } from './topics.js';
import { TransactionalProducer } from './transaction.js';

describeWith(['kafka'], 'an owner that Kafka fenced', () => {
  let harness: KafkaHarness;
  let cluster: Cluster;
  let log: Log;
  beforeEach(async () => {
    harness = kafkaHarness([addressOf('kafka')]);
    cluster = new Cluster({ brokers: [addressOf('kafka')], clientId: 'thief' });
    log = await harness.open();
  });
  afterEach(async () => {
    await log.close();
    await cluster.close();
    await harness.dispose();
  });
  const steal = () =>
    TransactionalProducer.open(
      { cluster, transactionalId: `${harness.prefix}group/${LIFECYCLE}/1`, timeoutMs: 10_000, signal: new AbortController().signal },
      10_000,
    );

  it('is begun anew from what is committed, while the partition is still its own, whether its handler says so or returns', async () => {
    const begun = new Collector<Assignment>();
    await log.join('group', [LIFECYCLE], async (assignment) => {
      if (assignment.partition !== 1) return hold(assignment);
      const round = begun.items.length;
      begun.push(assignment);
      if (round === 2) return hold(assignment);
      await assignment.commit({ next: 0, outputs: [], states: new Map([['round', String(round)]]) });
      await steal();
      const outcome = await assignment
        .commit({ next: 0, outputs: [], states: new Map([['round', 'lost']]) })
        .catch((error: unknown) => error);
      expect(outcome).toMatchObject({ kind: 'fenced' });
      if (round === 0) throw outcome;
    });
    await begun.until((items) => items.length === 3);
    const epochs = begun.items.map(({ epoch }) => epoch);
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    expect(new Set(epochs).size).toBe(3);
    expect(text((await begun.items[2]!.state('round'))!)).toBe('1');
  });

  it('reads its state whole or not at all: what was cut off is never taken for a beginning', async () => {
    const owned = new Latch<Assignment>();
    const membership = await log.join('group', [LIFECYCLE], async (assignment) => {
      if (assignment.partition === 1) owned.open(assignment);
      await hold(assignment);
    });
    await (await owned.reached).commit({ next: 0, outputs: [], states: new Map([['kept', 'yes']]) });
    await membership.leave();
    const place = { topic: LIFECYCLE, partition: 1 } as const;
    const states = stateTopic(harness.prefix, 'group');
    expect(text((await readState(cluster, states, place, new AbortController().signal)).get('kept')!)).toBe('yes');
    await expect(readState(cluster, states, place, AbortSignal.abort())).rejects.toMatchObject({
      kind: 'retryable',
      code: 'partition_revoked',
    });
  });

  it('does not begin where the state topic is older than what Kafka says of the group', async () => {
    await log.append([record('x')]);
    const thief = await steal();
    const name = physicalTopic(harness.prefix, LIFECYCLE);
    await thief.write([], { group: `${harness.prefix}group`, topic: name, partition: 1, next: 7 });
    const membership = await log.join('group', [LIFECYCLE], hold);
    await expect(membership.done).rejects.toMatchObject({ kind: 'fatal', code: 'state_lost' });
  });
});
