// Does this node take new work? Folded from its own log, by every process of the node: it holds while cut off, and after a restart.
//
// A1. What was asked last holds, whether it was asked here or at the core. A2. Nothing is begun by half a log: until everything that was there has been read, it is
// not open. A3. A log that is away is waited for; what was known holds meanwhile.
import { type AdmissionState, type DatsEvent, isFault, NODES, partitionOf, toFault } from '../../schemas/index.js';
import { type Log, pause, readableEventOf } from '../../streams/index.js';
import { backoffMs } from '../../streams/runtime/index.js';

const AWAY = { baseMs: 100, maxMs: 2_000 };

export interface AdmissionOptions {
  readonly log: Pick<Log, 'partitions' | 'range' | 'read'>;
  readonly node: string;
  readonly onProblem: (error: unknown) => void;
}

export interface Admission {
  readonly ready: Promise<void>;
  state(): AdmissionState;
  /** Takes it new work? Not while that has not been read (A2). */
  isOpen(): boolean;
  /** Resolves when it is not `state` any more, or when the signal aborts. */
  changed(state: AdmissionState, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Pure. */
export const admissionAfter = (state: AdmissionState, event: DatsEvent, node: string): AdmissionState => {
  if (event.type === 'dats.node.cordoned' && event.data.node_id === node) {
    if (event.data.drain !== true) return 'cordoned';
    return state === 'drained' ? state : 'draining';
  }
  if (event.type === 'dats.node.uncordoned' && event.data.node_id === node) return 'open';
  if (event.type === 'dats.node.drained' && event.data.node_id === node) return state === 'draining' ? 'drained' : state;
  return state;
};

export const followAdmission = ({ log, node, onProblem }: AdmissionOptions): Admission => {
  const partition = partitionOf(node, log.partitions(NODES));
  const closed = new AbortController();
  const waiting = new Set<() => void>();
  let state: AdmissionState = 'open';
  let next = 0;
  let becomeReady!: () => void;
  let isReady = false;
  const ready = new Promise<void>((resolve) => {
    becomeReady = () => {
      isReady = true;
      resolve();
    };
  });

  const read = async (until: number | undefined): Promise<void> => {
    const from = { topic: NODES, partition, offset: next } as const;
    for await (const records of log.read(from, closed.signal, until === undefined ? {} : { until })) {
      for (const record of records) {
        next = record.offset + 1;
        const event = record.key === node ? readableEventOf(record) : undefined;
        if (event !== undefined) state = admissionAfter(state, event, node);
      }
      for (const look of [...waiting]) look();
    }
  };

  const follow = async (): Promise<void> => {
    for (let failures = 0; !closed.signal.aborted; ) {
      try {
        const { first, end } = await log.range(NODES, partition);
        next = Math.max(next, first);
        if (next < end) await read(end);
        becomeReady();
        failures = 0;
        await read(undefined);
      } catch (error) {
        if (closed.signal.aborted || isFault(error, 'fatal')) return;
        onProblem(toFault(error));
        await pause(backoffMs(++failures, AWAY, Math.random), closed.signal);
      }
    }
  };
  const following = follow();

  return {
    ready,
    state: () => state,
    isOpen: () => isReady && state === 'open',
    changed: (known, signal) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (state === known && !signal.aborted && !closed.signal.aborted) return;
          waiting.delete(look);
          signal.removeEventListener('abort', look);
          resolve();
        };
        waiting.add(look);
        signal.addEventListener('abort', look);
        look();
      }),
    close: async () => {
      closed.abort();
      for (const look of [...waiting]) look();
      await following;
    },
  };
};
