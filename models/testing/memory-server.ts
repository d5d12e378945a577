// A server that loads models into memory and unloads them, in this process: what runners with `residency` talk to. Loads last until a test ends them, or not at all.
import { modelFault } from '../faults.js';
import type { LoadedModel, ModelRunner } from '../runner.js';

export interface MemoryServer {
  /** What it has in memory: sizes by the name of the model. */
  readonly loaded: Map<string, number>;
  /** Sizes of what can be loaded. */
  readonly sizes: Map<string, number>;
  /** What was done, in order: `load a`, `loaded a`, `unload b`, `generate a`. */
  readonly done: string[];
  /** How often it was asked what it has. */
  looks: number;
  /** It does not answer what it has. */
  silent: boolean;
  /** What it has is told as it was when it was asked, at `finishLooks`. */
  slowLooks: boolean;
  finishLooks(): void;
  /** Loads wait for `finish`. */
  slow: boolean;
  /** Loads that fail. */
  readonly broken: Set<string>;
  finish(): void;
  /** Most loads that ran at a time. */
  readonly mostLoads: () => number;
  /** The runner of one of its models. */
  runner(name: string, generate: ModelRunner['generate']): ModelRunner;
}

export const openMemoryServer = (): MemoryServer => {
  let loads = 0;
  let most = 0;
  let finishes: (() => void)[] = [];
  let looks: (() => void)[] = [];
  const load = async (name: string, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    server.done.push(`load ${name}`);
    loads += 1;
    most = Math.max(most, loads);
    try {
      if (server.slow)
        await new Promise<void>((resolve, reject) => {
          const leave = (): void => reject(signal.reason);
          signal.addEventListener('abort', leave, { once: true });
          finishes.push(() => {
            signal.removeEventListener('abort', leave);
            resolve();
          });
        });
      if (server.broken.has(name)) throw modelFault(name, 'model_error');
      server.loaded.set(name, server.sizes.get(name) ?? 0);
      server.done.push(`loaded ${name}`);
    } finally {
      loads -= 1;
    }
  };
  const server: MemoryServer = {
    loaded: new Map(),
    sizes: new Map(),
    done: [],
    looks: 0,
    silent: false,
    slowLooks: false,
    finishLooks: () => {
      const all = looks;
      looks = [];
      for (const one of all) one();
    },
    slow: false,
    broken: new Set(),
    finish: () => {
      const all = finishes;
      finishes = [];
      for (const one of all) one();
    },
    mostLoads: () => most,
    runner: (name, generate) => ({
      provider: 'memory',
      scripted: false,
      generate: (request, signal) => {
        server.done.push(`generate ${name}`);
        return generate(request, signal);
      },
      embed: async () => ({ vectors: [], input_tokens: 0 }),
      models: async () => [{ name }],
      residency: {
        loaded: async (signal) => {
          server.looks += 1;
          if (server.silent)
            await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
          const has = [...server.loaded].map(([of, bytes]): LoadedModel => ({ name: `${of}:latest`, memory_bytes: bytes }));
          if (server.slowLooks) await new Promise<void>((resolve) => looks.push(resolve));
          return has;
        },
        load: (signal) => load(name, signal),
        unload: async () => {
          server.done.push(`unload ${name}`);
          server.loaded.delete(name);
        },
      },
      health: async () => ({ ok: true, latency_ms: 0 }),
      close: async () => {},
    }),
  };
  return server;
};
