// Lends this node's models to the core: comes for calls, makes them here, and says what comes, while there is a line.
//
// D1. A call is told of at least every RENEW_MS, also while nothing comes of it, so that the core knows it is under way. D2. It ends here as soon as nobody waits for it,
// or the line is down: the core asks another model. D3. What it uses is accounted for where it was asked for, not here.
import type { GenerateChunk, ModelGateway, ModelLender, RemoteCall, RemotePart } from '../../models/index.js';
import { toFault } from '../../schemas/index.js';
import { pause } from '../../streams/index.js';
import type { Line } from './line.js';

/** A third of the lease. */
const RENEW_MS = 5_000;
/** Text waits for so long to share a message. */
const FLUSH_MS = 30;

export interface LendingOptions {
  readonly line: Pick<Line, 'takeCalls' | 'givePart'>;
  readonly models: Pick<ModelGateway, 'status'> & ModelLender;
  /** Ids of the models that the core may ask for. */
  readonly lent: ReadonlySet<string>;
  readonly onProblem: (error: unknown) => void;
}

/** Until the signal aborts. @throws Fault of the line */
export const lendModels = async ({ line, models, lent, onProblem }: LendingOptions, signal: AbortSignal): Promise<void> => {
  if (lent.size === 0) return;
  const running = new Map<string, Promise<void>>();
  while (!signal.aborted) {
    const offered = (await models.status())
      .filter(({ id }) => lent.has(id))
      .map(({ id, health: { ok, detail } }) => ({
        id,
        ok,
        ...(detail === undefined ? {} : { detail: detail.slice(0, 500) }),
      }));
    for (const call of await line.takeCalls(offered, signal)) {
      // Two processes of the core may hand out the same one.
      if (running.has(call.call_id)) continue;
      const made = make(call, line, models, signal).catch(onProblem);
      running.set(call.call_id, made);
      void made.finally(() => running.delete(call.call_id));
    }
  }
  await Promise.all(running.values());
};

/** Makes one call, and says what comes of it. Rejects where the line is down. */
const make = async (call: RemoteCall, line: LendingOptions['line'], models: ModelLender, signal: AbortSignal): Promise<void> => {
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  let chunks: GenerateChunk[] = [];
  let fresh: () => void = () => {};
  let ended: RemotePart | undefined;

  const say = async (part: RemotePart): Promise<void> => {
    if (!(await line.givePart(call.call_id, part, until))) over.abort();
  };
  const speak = async (): Promise<void> => {
    while (!until.aborted) {
      if (chunks.length === 0 && ended === undefined) {
        const waiting = new AbortController();
        fresh = () => waiting.abort();
        await pause(RENEW_MS, AbortSignal.any([until, waiting.signal]));
        if (chunks.length > 0 && ended === undefined) await pause(FLUSH_MS, until);
      }
      if (until.aborted) return;
      const said = chunks;
      chunks = [];
      const last = ended;
      await say({ ...(said.length === 0 ? {} : { chunks: said }), ...last });
      if (last !== undefined) return;
    }
  };
  const answer = async (): Promise<void> => {
    try {
      const { wish } = call;
      if (wish.kind === 'embed') ended = { embedded: await models.lendEmbedding(call.model, wish.texts, until) };
      else {
        for await (const chunk of models.lend(call.model, wish.request, until)) {
          chunks.push(chunk);
          fresh();
        }
        ended = {};
      }
    } catch (error) {
      if (until.aborted) return;
      const { code, retryAfterMs } = toFault(error);
      ended = { fault: { code, ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }) } };
    } finally {
      fresh();
    }
  };
  const speaking = speak().finally(() => over.abort());
  await Promise.allSettled([answer(), speaking]);
  await speaking;
};
