// The ledger's partition without I/O: the decider over a list of records. As live, what others append may lie between what it reads and what it says.
import { type DataOf, type DatsEvent, derivedId, type EventType, LEDGER_KEY, QUOTA, type QuotasConfig } from '../../../schemas/index.js';
import { outgoing, type Recorded } from '../../../streams/index.js';
import type { Decider } from '../../decider.js';
import { type Fold, openFold, openRebuild, type Said } from '../../host/index.js';
import { eventOf } from '../../testing/index.js';
import { ledgerDecider } from '../decider.js';

export const LEDGER_SOURCE = '/deciders/quota';

export interface LedgerWorld {
  readonly log: DatsEvent[];
  /** What it answered to attempts of tasks, on the lifecycle topic. */
  readonly answers: DatsEvent[];
  readonly saved: Map<string, string>;
  now: number;
  quotas: QuotasConfig;
  take(event: DatsEvent): void;
  append<T extends EventType>(type: T, data: DataOf<T>, project?: string): void;
  /** Reads up to `count` records and commits once; then what is due. */
  step(count?: number): void;
  restart(): void;
  /** Entries of a fold from the first record on. */
  rebuilt(): (readonly [string, string])[];
}

const sorted = (entries: Iterable<readonly [string, string]>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

export const openLedgerWorld = (quotas: QuotasConfig, start = Date.parse('2026-01-01T00:00:00.000Z')): LedgerWorld => {
  const log: DatsEvent[] = [];
  const answers: DatsEvent[] = [];
  const saved = new Map<string, string>();
  let read = 0;
  let serial = 0;
  const openNew = (entries: Iterable<readonly [string, string]>): Fold =>
    openFold([ledgerDecider(() => world.quotas) as Decider], entries, {
      source: LEDGER_SOURCE,
      configVersion: () => '1',
      now: () => world.now,
      topic: QUOTA,
    });
  let fold: Fold;
  const commit = (said: readonly Said[]): void => {
    for (const { topic, key, event } of said) {
      if (topic !== QUOTA) answers.push(event);
      else if (key !== LEDGER_KEY) throw new Error(`a ${event.type} under the key ${key}`);
      else log.push(event);
    }
    for (const [key, value] of fold.changes()) {
      if (value === null) saved.delete(key);
      else saved.set(key, value);
    }
  };
  const world: LedgerWorld = {
    log,
    answers,
    saved,
    now: start,
    quotas,
    take: (event) => void log.push(event),
    append(type, data, project = 'p') {
      const event = eventOf(type, data, { projectid: project, time: new Date(world.now).toISOString() });
      log.push({ ...event, id: derivedId('ledger', ++serial) } as DatsEvent);
    },
    step(count = Number.POSITIVE_INFINITY) {
      const said: Said[] = [];
      for (const until = Math.min(log.length, read + count); read < until; read++) said.push(...fold.take(log[read]!, read));
      commit(said);
      const due = fold.nextDue();
      if (due !== undefined && due <= world.now) commit(fold.tick(world.now, read - 1));
    },
    restart() {
      fold = openNew(sorted(saved));
    },
    rebuilt() {
      const again = openNew([]);
      const rebuild = openRebuild(again, LEDGER_SOURCE);
      log.forEach((event, offset) => {
        const { headers, value } = outgoing(QUOTA, event, LEDGER_KEY);
        rebuild.take({
          topic: QUOTA,
          partition: 0,
          offset,
          key: LEDGER_KEY,
          headers,
          value,
          type: event.type,
          timestamp: 0,
          event,
        } as Recorded);
      });
      rebuild.finish(read);
      return sorted([...again.changes()].flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])));
    },
  };
  fold = openNew([]);
  return world;
};
