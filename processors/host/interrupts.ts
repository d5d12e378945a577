// Stops work that nobody wants any more: a task was cancelled or failed, an attempt timed out. Fed from the tail of the lifecycle topic.
import type { DatsEvent } from '../../schemas/index.js';

/** Ended tasks remembered, so that a work item that comes after the end is not begun. */
const REMEMBERED = 10_000;

/** Types worth parsing for `notice`. */
export const INTERRUPTING: ReadonlySet<string> = new Set(['dats.task.cancelled', 'dats.task.failed', 'dats.task.timedout']);

export interface Interrupts {
  /** Registers a run; `undefined` when it is over before it began. Call the returned function when the run has ended. */
  begin(taskId: string, attempt: number, stop: (reason: Error) => void): (() => void) | undefined;
  notice(event: DatsEvent): void;
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export const newInterrupts = (): Interrupts => {
  const running = new Map<string, Set<{ readonly attempt: number; readonly stop: (reason: Error) => void }>>();
  const over = new Set<string>();
  const remember = (key: string): void => {
    over.add(key);
    if (over.size > REMEMBERED) over.delete(over.values().next().value!);
  };
  return {
    begin(taskId, attempt, stop) {
      if (over.size > 0 && (over.has(taskId) || over.has(`${taskId}/${attempt}`))) return undefined;
      const run = { attempt, stop };
      const runs = running.get(taskId) ?? new Set();
      running.set(taskId, runs.add(run));
      return () => {
        runs.delete(run);
        if (runs.size === 0) running.delete(taskId);
      };
    },
    notice(event) {
      if (event.type !== 'dats.task.cancelled' && event.type !== 'dats.task.failed' && event.type !== 'dats.task.timedout') return;
      const { task_id } = event.data;
      const attempt = event.type === 'dats.task.timedout' ? event.data.attempt : undefined;
      remember(attempt === undefined ? task_id : `${task_id}/${attempt}`);
      for (const run of running.get(task_id) ?? [])
        if (attempt === undefined || run.attempt === attempt) run.stop(new Interrupted(`${event.type} for task ${task_id}`));
    },
  };
};
