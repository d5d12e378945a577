// Servers that go away and come back, in front of the memory adapters: as the Kafka log and the Redis views behave then.
import { Fault, type Topic } from '../../schemas/index.js';
import type { Log, ViewStore } from '../../streams/index.js';

/** How it is away: it says so at once, or nothing answers at all. */
export type Absence = 'refusing' | 'silent';

interface Switch {
  /** From now on, until `back`. */
  away(how?: Absence): void;
  back(): void;
}

const openSwitch = (fault: () => Fault) => {
  let how: Absence | undefined;
  let waiting: (() => void)[] = [];
  /** Resolves at once while it is there, and else when it is back. */
  const there = async (signal?: AbortSignal): Promise<void> => {
    while (how !== undefined && signal?.aborted !== true)
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
  };
  return {
    there,
    away: (absence: Absence = 'refusing'): void => {
      how = absence;
    },
    back: (): void => {
      how = undefined;
      const woken = waiting;
      waiting = [];
      for (const resolve of woken) resolve();
    },
    answer: async <T>(ask: () => Promise<T> | T): Promise<T> => {
      if (how === undefined) return ask();
      // What was asked of a silent server is lost with its connection.
      if (how === 'silent') await there();
      throw fault();
    },
  };
};

export interface AwayLog extends Switch {
  readonly wrap: (log: Log) => Log;
  /** `<topic>/<partition>` of every `range` that was asked for. */
  readonly ranges: string[];
}

/** A log whose server can be away: `append`, `get` and `range` are refused or never answered, reads wait and go on by themselves. */
export const openAwayLog = (): AwayLog => {
  const { away, back, there, answer } = openSwitch(() => new Fault('retryable', 'log_unavailable', 'the log does not answer (injected)'));
  const ranges: string[] = [];
  return {
    away,
    back,
    ranges,
    wrap: (log) => ({
      partitions: (topic) => log.partitions(topic),
      append: (records) => answer(() => log.append(records)),
      get: (position) => answer(() => log.get(position)),
      range: (topic: Topic, partition) => {
        ranges.push(`${topic}/${partition}`);
        return answer(() => log.range(topic, partition));
      },
      async *read(from, signal, options) {
        await there(signal);
        for await (const batch of log.read(from, signal, options)) {
          await there(signal);
          if (signal.aborted) return;
          yield batch;
        }
      },
      join: (...args) => log.join(...args),
      lag: (...args) => log.lag(...args),
      health: () => log.health(),
      close: () => log.close(),
    }),
  };
};

export interface AwayViews extends Switch {
  readonly wrap: (views: ViewStore) => ViewStore;
  /** From now on, until `back`, it holds nothing: it was emptied and is being filled again. */
  empty(): void;
}

/** Views whose server can be away or emptied. */
export const openAwayViews = (): AwayViews => {
  const { away, back, answer } = openSwitch(() => new Fault('retryable', 'views_unavailable', 'the views do not answer (injected)'));
  let empty = false;
  return {
    away,
    back: () => {
      empty = false;
      back();
    },
    empty: () => {
      empty = true;
    },
    wrap: (views) => ({
      get: <T>(collection: string, id: string) => answer(() => (empty ? undefined : views.get<T>(collection, id))),
      put: (...args) => answer(() => views.put(...args)),
      checkpoint: (view, partition) => answer(() => (empty ? 0 : views.checkpoint(view, partition))),
      list: (...args) => answer(async () => (empty ? [] : await views.list(...args))),
      clear: () => answer(() => views.clear()),
      close: () => views.close(),
    }),
  };
};
