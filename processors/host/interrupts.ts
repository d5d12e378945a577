// Stops work that nobody wants any more: a task was cancelled or failed, an attempt timed out, a cascade is over. Fed from the tail of the lifecycle topic.
import type { DatsEvent } from '../../schemas/index.js';

/** Ended tasks remembered, so that a work item that comes after the end is not begun. */
const REMEMBERED = 10_000;

/** Types worth parsing for `notice`. */
export const INTERRUPTING: ReadonlySet<string> = new Set([
  'dats.task.cancelled',
  'dats.task.failed',
  'dats.task.timedout',
  'dats.cascade.completed',
]);

export interface Interrupts {
  /** Registers a run for `id`, a task's or a cascade's; `undefined` when it is over before it began. Call the returned function when the run has ended. */
  begin(id: string, attempt: number, stop: (reason: Error) => void): (() => void) | undefined;
  notice(event: DatsEvent): void;
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** What an event puts an end to: a task, one attempt of it, or a cascade. */
const endedBy = (event: DatsEvent): { readonly id: string; readonly attempt?: number } | undefined => {
  switch (event.type) {
    case 'dats.task.cancelled':
    case 'dats.task.failed':
      return { id: event.data.task_id };
    case 'dats.task.timedout':
      return { id: event.data.task_id, attempt: event.data.attempt };
    case 'dats.cascade.completed':
      return { id: event.data.cascade_id };
    default:
      return undefined;
  }
};

export const newInterrupts = (): Interrupts => {
  const running = new Map<string, Set<{ readonly attempt: number; readonly stop: (reason: Error) => void }>>();
  const over = new Set<string>();
  const remember = (key: string): void => {
    over.add(key);
    if (over.size > REMEMBERED) over.delete(over.values().next().value!);
  };
  return {
    begin(id, attempt, stop) {
      if (over.size > 0 && (over.has(id) || over.has(`${id}/${attempt}`))) return undefined;
      const run = { attempt, stop };
      const runs = running.get(id) ?? new Set();
      running.set(id, runs.add(run));
      return () => {
        runs.delete(run);
        if (runs.size === 0) running.delete(id);
      };
    },
    notice(event) {
      const over = endedBy(event);
      if (over === undefined) return;
      const { id, attempt } = over;
      remember(attempt === undefined ? id : `${id}/${attempt}`);
      for (const run of running.get(id) ?? [])
        if (attempt === undefined || run.attempt === attempt) run.stop(new Interrupted(`${event.type} for ${id}`));
    },
  };
};
