// A member of the history's group over a store that can be made to fail.
import { type Fault, LIFECYCLE, TELEMETRY } from '../../../../schemas/index.js';
import type { Analytics, Log, Membership } from '../../../../streams/index.js';
import { ingestHistory } from '../ingest.js';
import { EVENTS } from '../tables.js';
import { generationOf } from './engine.js';

export const GROUP = 'history';
const LOOK_MS = 200;

export interface Ingester {
  readonly membership: Membership;
  readonly problems: readonly Fault[];
  /** Rows of the inserts that were acknowledged. */
  inserted(): number;
}

export const startIngester = async (log: Log, analytics: Analytics, flushMs = 20): Promise<Ingester> => {
  const problems: Fault[] = [];
  let inserted = 0;
  const generation = generationOf(analytics);
  const membership = await log.join(GROUP, [LIFECYCLE, TELEMETRY], (assignment) =>
    ingestHistory(assignment, {
      log,
      analytics,
      generation,
      flushMs,
      lookMs: LOOK_MS,
      onProblem: (fault) => void problems.push(fault),
      onInserted: ({ rows }) => {
        inserted += rows;
      },
    }),
  );
  membership.done.catch(() => undefined);
  return { membership, problems, inserted: () => inserted };
};

export interface EventsInsert {
  /** How many there were before it. */
  readonly nth: number;
  readonly lines: string;
  readonly token: string;
  apply(): Promise<void>;
}

/** The store, but for its inserts of events, which are what `onInsert` makes of them. */
export const faulty = (store: Analytics, onInsert: (insert: EventsInsert) => Promise<void>): Analytics => {
  let nth = 0;
  return {
    insert: (table, lines, token) =>
      table === EVENTS
        ? onInsert({ nth: nth++, lines, token, apply: () => store.insert(table, lines, token) })
        : store.insert(table, lines, token),
    command: (sql, parameters) => store.command(sql, parameters),
    query: (sql, parameters) => store.query(sql, parameters),
    ask: (sql, limits, parameters) => store.ask(sql, limits, parameters),
    health: () => store.health(),
    close: () => store.close(),
  };
};

/** Records that are not yet known to be in. */
export const lagOf = async (log: Log): Promise<number> =>
  (await log.lag(GROUP, [LIFECYCLE, TELEMETRY])).reduce((sum, { lag }) => sum + lag, 0);
