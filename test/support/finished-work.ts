// Of a work topic: what the workers' group says is done, and whether the log holds what came of it.
import { isTerminal, LIFECYCLE, WORK_TOPICS } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { eventually } from './eventually.js';
import type { LoggedEvent } from './invariants.js';

/** The broker ends what dead processes left open after some seconds; until then it does not say what is committed. */
const DECIDED_MS = 60_000;

export interface FinishedWork {
  /** Work items below a committed offset. */
  readonly items: number;
  /** Those without an outcome, although their task wants one. */
  readonly lost: readonly string[];
}

/** @param events the whole log, read after the offsets: what is committed with an offset is in it then. */
export const finishedWork = async (log: Log, readEvents: () => Promise<readonly LoggedEvent[]>): Promise<FinishedWork> => {
  const lags = await eventually('the committed offsets of the workers', DECIDED_MS, () => log.lag('workers', WORK_TOPICS));
  const events = await readEvents();
  const outcomes = new Set<string>();
  const notWanted = new Set<string>();
  for (const { topic, event } of events) {
    if (topic !== LIFECYCLE) continue;
    // A start says only that somebody began.
    if (event.causationid !== undefined && event.type !== 'dats.task.started') outcomes.add(event.causationid);
    if (isTerminal(event.type) || event.type === 'dats.task.cancel.requested') notWanted.add(event.subject);
  }
  const committed = new Map(lags.map(({ topic, partition, committed: next }) => [`${topic}/${partition}`, next]));
  const done = events.filter(({ topic, partition, offset }) => offset < (committed.get(`${topic}/${partition}`) ?? 0));
  const lost = done.filter(({ event }) => !outcomes.has(event.id) && !notWanted.has(event.subject));
  return { items: done.length, lost: lost.map(({ topic, partition, offset }) => `${topic} p${partition}-${offset}`) };
};
