// What only Kafka does: it fences a producer whose process is well, when a transaction took too long or somebody opened its id by mistake.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import type { Assignment, Log } from '../log.js';
import { Collector, hold, text } from '../testing/log-driver.js';
import { addressOf, describeWith } from '../testing/servers.js';
import { Cluster } from './cluster.js';
import { type KafkaHarness, kafkaHarness } from './testing/harness.js';
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
});
