// Waiting until the tables have what the log has.
import { expect } from 'vitest';
import type { Analytics, Log, Outgoing } from '../../../../streams/index.js';
import { lagOf } from './ingester.js';
import { tallyOf, tallyOfLog } from './tally.js';

export const WITHIN = { timeout: 30_000, interval: 50 };

export const append = async (log: Log, records: readonly Outgoing[], size = 500): Promise<void> => {
  for (let i = 0; i < records.length; i += size) await log.append(records.slice(i, i + size));
};

/** Everything of the log is in, once, and known to be. Nothing may be appended meanwhile. */
export const caughtUp = async (log: Log, store: Analytics): Promise<void> => {
  const wanted = await tallyOfLog(log);
  await expect.poll(() => tallyOf(store).catch((error: unknown) => String(error)), WITHIN).toEqual(wanted);
  await expect.poll(() => lagOf(log), WITHIN).toBe(0);
  expect(await tallyOf(store)).toEqual(wanted);
};
