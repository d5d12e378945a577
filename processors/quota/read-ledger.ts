// How the accounts stand, for whoever asks: a fold of the ledger's partition, as the ledger itself folds it.
//
// D1. What it shows is exactly what the ledger had committed when it was asked: the answers stand with the offset in one commit. D2. It keeps accounts and
// open reservations, and goes on where it was; the first question reads from the first record on. D3. One question reads at a time.
import { LEDGER_KEY, partitionOf, QUOTA, type QuotaSubject } from '../../schemas/index.js';
import { type Log, readableEventOf } from '../../streams/index.js';
import { openRebuild } from '../host/index.js';
import type { Account } from './account.js';
import { keyOf } from './limits.js';
import { evolve, newState } from './state.js';

/** The consumer group of the ledger, and the source of what it says. */
export const LEDGER_GROUP = 'quota';
export const LEDGER_SOURCE = '/deciders/quota';

export interface Accounts {
  get(subject: QuotaSubject): Account | undefined;
  all(): Iterable<Account>;
}

export interface LedgerReader {
  /** As of now. @throws Fault of the log; the signal's reason when aborted. */
  read(signal: AbortSignal): Promise<Accounts>;
}

const TYPES: ReadonlySet<string> = new Set(['dats.quota.reserved', 'dats.quota.consumed', 'dats.quota.reset', 'dats.quota.requested']);

export const openLedgerReader = (log: Pick<Log, 'lag' | 'range' | 'read' | 'partitions'>): LedgerReader => {
  const partition = partitionOf(LEDGER_KEY, log.partitions(QUOTA));
  const state = newState();
  const rebuild = openRebuild({ consumes: TYPES, replay: (event) => evolve(state, event) }, LEDGER_SOURCE);
  let next: number | undefined;
  let turn: Promise<void> = Promise.resolve();

  const catchUp = async (signal: AbortSignal): Promise<void> => {
    // In this order (D1): all that the ledger said to what is below `committed` is below `end`.
    const lag = (await log.lag(LEDGER_GROUP, [QUOTA])).find((one) => one.partition === partition);
    const { first, end } = await log.range(QUOTA, partition);
    next ??= first;
    for await (const records of log.read({ topic: QUOTA, partition, offset: next }, signal, { until: end })) {
      for (const record of records) if (readableEventOf(record) !== undefined) rebuild.take(record);
      next = records.at(-1)!.offset + 1;
    }
    signal.throwIfAborted();
    rebuild.finish(lag?.committed ?? 0);
    state.dirty.clear();
  };

  return {
    async read(signal) {
      const mine = turn.then(() => catchUp(signal));
      turn = mine.catch(() => {});
      await mine;
      return { get: (subject) => state.accounts.get(keyOf(subject)), all: () => state.accounts.values() };
    },
  };
};
