import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault, LIFECYCLE, newId } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { type Damage, readingOver } from './audit-damage.js';

const COUNT = 20;
let log: Log;
beforeEach(async () => {
  log = openMemoryLog({ partitions: 1 });
  await log.append(
    Array.from({ length: COUNT }, (_, n) => ({ topic: LIFECYCLE, key: 'p', headers: { id: newId(), type: 'x' }, value: String(n) })),
  );
});
afterEach(() => log.close());

/** A log in which a read that touches one of these offsets fails as a whole, as a batch does that is not what its checksum says. */
const damagedAt = (offsets: readonly number[], fault: Fault): Log => ({
  ...readingOver(log, () => {}),
  async *read(from, signal, options) {
    for await (const batch of log.read(from, signal, options)) {
      if (batch.some(({ offset }) => offsets.includes(offset))) throw fault;
      yield batch;
    }
  },
  get: async (position) => {
    if (offsets.includes(position.offset)) throw fault;
    return log.get(position);
  },
});
const corrupt = new Fault('fatal', 'log_corrupt', 'no checksum');

const readAll = async (from: Log): Promise<{ offsets: number[]; damages: Damage[] }> => {
  const damages: Damage[] = [];
  const offsets: number[] = [];
  const reading = readingOver(from, (damage) => damages.push(damage));
  const options = { until: COUNT, maxBatch: 6 };
  for await (const batch of reading.read({ topic: LIFECYCLE, partition: 0, offset: 0 }, new AbortController().signal, options))
    offsets.push(...batch.map(({ offset }) => offset));
  return { offsets, damages };
};

describe('a log that is damaged', () => {
  it.each([[[]], [[0]], [[7]], [[7, 8, 9]], [[19]], [[0, 5, 6, 12, 19]]])(
    'at %j is read around it, and every loss is told',
    async (bad) => {
      const { offsets, damages } = await readAll(damagedAt(bad, corrupt));
      expect(offsets).toEqual(Array.from({ length: COUNT }, (_, n) => n).filter((n) => !bad.includes(n)));
      expect(damages).toEqual(bad.map((offset) => ({ topic: LIFECYCLE, position: `p0-${offset}`, why: 'no checksum' })));
    },
  );

  it('any other error ends the reading', async () => {
    const away = new Fault('retryable', 'log_unavailable', 'away');
    await expect(readAll(damagedAt([7], away))).rejects.toBe(away);
  });
});
