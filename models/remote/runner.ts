// The runner of a model that another node has: its calls go through the exchange.
import type { Clock } from '../clock.js';
import { modelFault } from '../faults.js';
import type { GenerateChunk, GenerateRequest, ModelRunner } from '../runner.js';
import { type Exchange, type Lent, type RemoteWish, remoteFault } from './exchange.js';

export interface RemoteOptions {
  /** Id in servers.yaml. */
  readonly id: string;
  readonly node: string;
  readonly provider: string;
  readonly exchange: Exchange;
  readonly clock: Clock;
}

export const openRemote = ({ id, node, provider, exchange, clock }: RemoteOptions): ModelRunner => {
  const lend = (wish: RemoteWish): Lent => exchange.lend(node, { model: id, wish });

  async function* generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateChunk> {
    signal.throwIfAborted();
    const lent = lend({ kind: 'generate', request });
    try {
      for (;;) {
        const { chunks = [], fault } = await lent.next(signal);
        for (const chunk of chunks) {
          yield chunk;
          if (chunk.kind === 'done') return;
        }
        if (fault !== undefined) throw remoteFault(id, fault);
      }
    } finally {
      lent.close();
    }
  }

  return {
    provider,
    scripted: false,
    generate,
    embed: async (texts, signal) => {
      signal.throwIfAborted();
      const lent = lend({ kind: 'embed', texts });
      try {
        const { embedded, fault } = await lent.next(signal);
        if (fault !== undefined) throw remoteFault(id, fault);
        if (embedded === undefined) throw modelFault(id, 'model_garbage', { detail: `node ${node} answered with something else` });
        return embedded;
      } finally {
        lent.close();
      }
    },
    models: async () => [],
    health: async () => {
      const started = clock.now();
      return { ...exchange.healthOf(node, id), latency_ms: clock.now() - started };
    },
    close: async () => {},
  };
};
