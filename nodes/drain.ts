// Says when a node that is to be stopped can be: nothing runs on it, and the core has all of its log.
//
// W1. It is said when two looks in a row, LOOK_MS apart, found nothing: work that is between two steps (done, and not decided on) is seen by one of them.
// W2. Several processes may say it: what is said twice means the same. Only the one that has the line to the core knows that everything was sent.
// W3. A task that waits in a queue does not run: it goes on when the node is started again and opened.

import { stampAlone } from '../processors/host/index.js';
import { sayOn } from '../processors/index.js';
import type { Admission } from '../processors/link/index.js';
import { NODES, timeoutSignal, toFault } from '../schemas/index.js';
import { type GroupLag, type Log, outgoing, pause } from '../streams/index.js';

export const LOOK_MS = 500;
/** A log that does not answer for so long is not known to be done. */
const READ_MS = 2_000;

export interface DrainOptions {
  readonly log: Pick<Log, 'lag' | 'read' | 'append'>;
  readonly node: string;
  readonly admission: Pick<Admission, 'state' | 'changed'>;
  /** Groups that have nothing left to do on a node where nothing runs. */
  readonly groups: readonly { readonly group: string; readonly topics: Parameters<Log['lag']>[1] }[];
  /** Records that the core does not have; undefined: nobody knows here. Absent: there is no core above this node. */
  readonly unsent?: (() => Promise<number | undefined>) | undefined;
  readonly configVersion: () => string;
  /** RFC 3339. */
  readonly time: () => string;
  readonly lookMs?: number;
  readonly onProblem: (error: unknown) => void;
}

/** Is there a record that the group has not done? Its lag is an upper bound where offsets have gaps: on Kafka a transaction ends with one. */
const isBehind = async (log: DrainOptions['log'], { topic, partition, committed, end, lag }: GroupLag): Promise<boolean> => {
  if (lag === 0) return false;
  const late = timeoutSignal(READ_MS);
  for await (const records of log.read({ topic, partition, offset: committed }, late, { until: end })) if (records.length > 0) return true;
  return late.aborted;
};

const isQuiet = async ({ log, groups, unsent }: DrainOptions): Promise<boolean> => {
  for (const { group, topics } of groups) for (const lag of await log.lag(group, topics)) if (await isBehind(log, lag)) return false;
  return unsent === undefined || (await unsent()) === 0;
};

const sayDrained = async ({ log, node, configVersion, time }: DrainOptions): Promise<void> => {
  const draft = sayOn(NODES, node, 'dats.node.drained', node, { node_id: node });
  const event = stampAlone(draft, { source: '/link', actor: node, configversion: configVersion(), time: time() });
  await log.append([outgoing(NODES, event, node)]);
};

/** Until the signal aborts. Never rejects. */
export const watchDrain = async (options: DrainOptions, signal: AbortSignal): Promise<void> => {
  const { admission, lookMs = LOOK_MS, onProblem } = options;
  let quiet = 0;
  while (!signal.aborted) {
    const state = admission.state();
    if (state !== 'draining') {
      quiet = 0;
      await admission.changed(state, signal);
      continue;
    }
    try {
      quiet = (await isQuiet(options)) ? quiet + 1 : 0;
      if (quiet >= 2) {
        await sayDrained(options);
        await admission.changed('draining', signal);
        continue;
      }
    } catch (error) {
      onProblem(toFault(error));
    }
    await pause(lookMs, signal);
  }
};
