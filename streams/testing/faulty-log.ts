// A log that fails when it is told to: before a write, so that nothing is written, or after it, so that it is written but nobody learns of it.
import { Fault } from '../../schemas/index.js';
import type { Assignment, Log } from '../log.js';

export type FaultPoint = 'append:before' | 'append:acknowledgement' | 'commit:before' | 'commit:acknowledgement';

export interface FaultyLog extends Log {
  /** The next time `point` is reached, `error` is thrown there; by default a retryable Fault `injected`. Several add up, in order. */
  failAt(point: FaultPoint, error?: Error): void;
  /** Points at which something was thrown, in order. */
  readonly failures: readonly FaultPoint[];
}

export const faultyLog = (log: Log): FaultyLog => {
  const planned: { readonly point: FaultPoint; readonly error: Error }[] = [];
  const failures: FaultPoint[] = [];

  const reach = (point: FaultPoint): void => {
    const at = planned.findIndex((plan) => plan.point === point);
    if (at < 0) return;
    const [plan] = planned.splice(at, 1);
    failures.push(point);
    throw plan!.error;
  };
  const guarded = async <T>(what: 'append' | 'commit', write: () => Promise<T>): Promise<T> => {
    reach(`${what}:before`);
    const result = await write();
    reach(`${what}:acknowledgement`);
    return result;
  };
  const faulty = (assignment: Assignment): Assignment => ({
    topic: assignment.topic,
    partition: assignment.partition,
    epoch: assignment.epoch,
    committed: assignment.committed,
    revoked: assignment.revoked,
    records: (options) => assignment.records(options),
    state: (key) => assignment.state(key),
    states: (prefix) => assignment.states(prefix),
    commit: (commit) => guarded('commit', () => assignment.commit(commit)),
  });

  return {
    failAt: (point, error = new Fault('retryable', 'injected', `failure injected at ${point}`)) => {
      planned.push({ point, error });
    },
    failures,
    partitions: (topic) => log.partitions(topic),
    append: (records) => guarded('append', () => log.append(records)),
    read: (from, signal, options) => log.read(from, signal, options),
    get: (position) => log.get(position),
    range: (topic, partition) => log.range(topic, partition),
    join: (group, topics, onAssigned) => log.join(group, topics, (assignment) => onAssigned(faulty(assignment))),
    lag: (group, topics) => log.lag(group, topics),
    health: () => log.health(),
    close: () => log.close(),
  };
};
