// Model calls on their way to the log: with the outcome of the task they were made for, in the same commit; alone where there is no task.

import { stampAlone } from '../processors/host/index.js';
import { type Draft, sayOn } from '../processors/index.js';
import { type ModelCall, TELEMETRY } from '../schemas/index.js';
import { type Log, type Outgoing, outgoing } from '../streams/index.js';

/** Tasks whose calls are held at most; beyond, the oldest go to the log at once. */
const HELD_TASKS = 10_000;

export interface TelemetrySink {
  readonly onCall: (call: ModelCall) => void;
  /** Calls made for a task and not yet recorded. */
  readonly take: (taskId: string) => readonly Draft[];
}

export interface TelemetryOptions {
  readonly log: Log;
  readonly node: string;
  readonly configVersion: () => string;
  readonly now: () => number;
  readonly onProblem: (error: unknown) => void;
}

/** What a node says of itself, for no task, as a record of the telemetry topic. */
export const telemetryOf = ({ node, configVersion, now }: Omit<TelemetryOptions, 'log' | 'onProblem'>, draft: Draft): Outgoing => {
  const by = { source: `/nodes/${node}`, actor: node, configversion: configVersion(), time: new Date(now()).toISOString() };
  return outgoing(TELEMETRY, stampAlone(draft, by), node);
};

export const openTelemetrySink = (options: TelemetryOptions): TelemetrySink => {
  const held = new Map<string, Draft[]>();
  const append = (drafts: readonly Draft[]): void => {
    const records = drafts.map((draft) => telemetryOf(options, draft));
    options.log.append(records).catch(options.onProblem);
  };
  return {
    onCall(call) {
      const draft = sayOn(TELEMETRY, options.node, 'dats.model.called', call.model, call);
      if (call.task_id === undefined) return append([draft]);
      const calls = held.get(call.task_id);
      if (calls) calls.push(draft);
      else held.set(call.task_id, [draft]);
      if (held.size > HELD_TASKS) {
        const [oldest, drafts] = held.entries().next().value!;
        held.delete(oldest);
        append(drafts);
      }
    },
    take(taskId) {
      const calls = held.get(taskId);
      if (!calls) return [];
      held.delete(taskId);
      return calls;
    },
  };
};
