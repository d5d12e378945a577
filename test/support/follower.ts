// Follows a project's events over a node that comes and goes: reconnects with the last position it has, and keeps every event it was sent.
import type { Api, StreamedEvent } from './api.js';
import { eventually } from './eventually.js';

/** A node that is away longer than this is not coming back, in milliseconds. */
const BACK_WITHIN_MS = 60_000;

export interface Follower {
  /** In the order received. */
  readonly received: readonly { readonly position: string; readonly id: string; readonly type: string; readonly subject: string }[];
  /** Times that it went on after a break. */
  readonly reconnects: () => number;
  /** Rejects when the node does not come back. */
  readonly done: Promise<void>;
  stop(): void;
}

export const follow = (api: Pick<Api, 'stream'>, project: string, onEvent: (event: StreamedEvent) => void): Follower => {
  const received: { position: string; id: string; type: string; subject: string }[] = [];
  const stop = new AbortController();
  let connections = 0;
  const path = `/api/v1/projects/${project}/events?from=beginning`;
  const once = async (): Promise<void> => {
    const onOpen = () => void connections++;
    for await (const streamed of api.stream(path, { lastEventId: received.at(-1)?.position, signal: stop.signal, onOpen })) {
      received.push({ position: streamed.id, id: streamed.event.id, type: streamed.type, subject: streamed.event.subject });
      onEvent(streamed);
    }
  };
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const before = connections;
      await eventually(`the event stream of ${project}`, BACK_WITHIN_MS, async () => {
        await once().catch((error: unknown) => {
          // One that was open and whose connection broke is no failure, however long nothing came.
          const broke = connections > before && error instanceof TypeError;
          if (!stop.signal.aborted && !broke) throw error;
        });
        return true;
      });
    }
  };
  const done = run();
  // Whoever awaits it is told; until then a test may be waiting for something else.
  done.catch(() => undefined);
  return { received, reconnects: () => Math.max(0, connections - 1), done, stop: () => stop.abort() };
};
