// Which models their servers have in memory, and loading and unloading them. For runners with `residency`; all others are left as they are.
//
// Y1. One load at a time on one graphics processor; models that name none share their server. Who waits leaves at an abort.
// Y2. A call to a model that is not in memory loads it first. Where nobody knows, the call is made: the server loads it by itself.
// Y3. Where what must be loaded does not fit beside what is there, the models that were used longest ago are unloaded; never one with calls. Where that is not
//     enough, or sizes are unknown, the server decides.
// Y4. A server is asked what it has while it is in use, once in FRESH_MS at most, and no timer does it.
import { type ModelConfig, toFault } from '../schemas/index.js';
import { orAborted } from './abortable.js';
import type { Clock } from './clock.js';
import { modelFault } from './faults.js';
import { OLLAMA_URL } from './open-runner.js';
import type { LoadedModel, ModelRunner, Residency } from './runner.js';
import { openSlots, type Slots } from './slots.js';

/** What a server said is believed for so long without asking again, */
export const FRESH_MS = 5_000;
/** and counts as unknown after so long. */
export const STALE_MS = 30_000;
/** A server that takes longer to say what it has said nothing. */
export const LOOK_MS = 2_000;
/** Calls that wait for loads of one graphics processor. */
const QUEUE_LENGTH = 1_024;

/** What a graphics processor has. */
export interface GpuMemory {
  readonly memory_total_bytes?: number | undefined;
  readonly memory_used_bytes?: number | undefined;
}

/** A model that may be loaded and unloaded. */
export interface Resident {
  readonly config: ModelConfig;
  readonly runner: Pick<ModelRunner, 'residency'>;
  /** Calls that run or wait now. */
  readonly busy: () => number;
}

export interface ResidencyDeps {
  readonly clock: Clock;
  readonly memory: (gpu: number) => GpuMemory | undefined;
  readonly onProblem: (model: string, problem: Error, what: string) => void;
  readonly onMoved: (model: string, what: 'loaded' | 'unloaded', ms: number) => void;
}

/** One model's place in memory. */
export interface Place {
  /** Undefined: nobody knows. Asks the server, in the background, where that was long ago. */
  loaded(): boolean | undefined;
  /** What a call waits for before it is made; undefined: nothing. @throws Fault, or the signal's reason */
  ready(signal: AbortSignal): Promise<void> | undefined;
  /** A call was answered. */
  used(): void;
  /** A call showed that its server, or the model, is gone. */
  lost(): void;
}

export interface Residencies {
  /** Undefined where the model's server keeps it for ever. */
  of(id: string): Place | undefined;
  /** Loads what `warm_up` names, in the background. */
  warmUp(): void;
  close(): void;
}

interface Server {
  readonly models: Held[];
  looking: Promise<void> | undefined;
  lookedAt: number;
}

interface Group {
  readonly gpu: number | undefined;
  readonly models: Held[];
  /** One slot: whoever loads. */
  readonly turn: Slots;
}

interface Held {
  readonly resident: Resident;
  readonly residency: Residency;
  readonly server: Server;
  readonly group: Group;
  loaded: boolean | undefined;
  knownAt: number;
  usedAt: number;
  bytes: number | undefined;
  /** It is being unloaded: what its server says of it now is no news. */
  leaving: boolean;
}

/** Ollama names a model without a tag `NAME:latest`. */
const sameName = (a: string, b: string): boolean => a === b || `${a}:latest` === b || a === `${b}:latest`;

const nameOf = ({ model, id }: ModelConfig): string => model ?? id;

export const openResidencies = (residents: readonly Resident[], deps: ResidencyDeps): Residencies => {
  const { clock } = deps;
  const closing = new AbortController();
  const places = new Map<string, Held>();
  const servers = new Map<string, Server>();
  const groups = new Map<string, Group>();

  const learn = (held: Held, loaded: boolean | undefined): void => {
    held.loaded = loaded;
    held.knownAt = clock.now();
  };

  const hear = (server: Server, listed: readonly LoadedModel[], askedAt: number): void => {
    for (const held of server.models) {
      const found = listed.find(({ name }) => sameName(name, nameOf(held.resident.config)));
      if (found?.memory_bytes !== undefined && found.memory_bytes > 0) held.bytes = found.memory_bytes;
      // What happened after the question was asked is newer than the answer.
      if (!held.leaving && held.knownAt <= askedAt) learn(held, found !== undefined);
    }
  };

  const look = async (server: Server): Promise<void> => {
    const askedAt = clock.now();
    const controller = new AbortController();
    const end = (): void => controller.abort(closing.signal.reason);
    const stop = clock.after(LOOK_MS, end, true);
    closing.signal.addEventListener('abort', end, { once: true });
    try {
      hear(server, await server.models[0]!.residency.loaded(controller.signal), askedAt);
    } catch {
      // It does not say: what was known grows stale, and calls find out.
    } finally {
      stop();
      closing.signal.removeEventListener('abort', end);
      server.looking = undefined;
      server.lookedAt = clock.now();
    }
  };
  const looked = (server: Server): Promise<void> => {
    server.looking ??= look(server);
    return server.looking;
  };

  const unload = async (held: Held, signal: AbortSignal): Promise<boolean> => {
    const began = clock.now();
    held.leaving = true;
    learn(held, false);
    try {
      await held.residency.unload(signal);
      deps.onMoved(held.resident.config.id, 'unloaded', clock.now() - began);
      return true;
    } catch (error) {
      learn(held, undefined);
      signal.throwIfAborted();
      deps.onProblem(held.resident.config.id, toFault(error), 'could not be unloaded');
      return false;
    } finally {
      held.leaving = false;
    }
  };

  const longestUnused = (group: Group, but: ReadonlySet<Held>): Held | undefined => {
    let found: Held | undefined;
    for (const held of group.models) {
      if (but.has(held) || held.loaded !== true || held.bytes === undefined || held.resident.busy() > 0) continue;
      if (found === undefined || held.usedAt < found.usedAt) found = held;
    }
    return found;
  };

  /** Y3. */
  const makeRoom = async (held: Held, signal: AbortSignal): Promise<void> => {
    const { group } = held;
    const memory = group.gpu === undefined ? undefined : deps.memory(group.gpu);
    if (memory?.memory_total_bytes === undefined || held.bytes === undefined) return;
    const ours = group.models.reduce((sum, { loaded, bytes }) => sum + (loaded === true ? (bytes ?? 0) : 0), 0);
    // A reading is some seconds old, and what we know does not hold what others have there.
    let free = memory.memory_total_bytes - Math.max(ours, memory.memory_used_bytes ?? 0);
    const tried = new Set([held]);
    while (free < held.bytes) {
      const victim = longestUnused(group, tried);
      if (victim === undefined) return;
      tried.add(victim);
      if (await unload(victim, signal)) free += victim.bytes!;
    }
  };

  /** Y1. */
  const load = async (held: Held, signal: AbortSignal): Promise<void> => {
    const { config } = held.resident;
    const { turn } = held.group;
    if (!turn.tryTake() && !(await turn.take(signal)))
      throw modelFault(config.id, 'model_timeout', { detail: 'other models were loaded before it for too long' });
    try {
      if (held.loaded === true) return;
      await makeRoom(held, signal);
      const began = clock.now();
      await held.residency.load(signal);
      learn(held, true);
      held.usedAt = clock.now();
      deps.onMoved(config.id, 'loaded', clock.now() - began);
    } finally {
      turn.give();
    }
    // What it takes is known only now.
    if (held.bytes === undefined && !closing.signal.aborted) void looked(held.server);
  };

  const isFresh = (held: Held): boolean => clock.now() - held.knownAt <= FRESH_MS;

  /** Y2. */
  const becomeReady = async (held: Held, signal: AbortSignal): Promise<void> => {
    if (!held.leaving && (held.loaded === undefined || !isFresh(held))) await orAborted(looked(held.server), signal);
    if (held.loaded === false) await load(held, signal);
  };

  const add = (resident: Resident, residency: Residency): void => {
    const { id, base_url = OLLAMA_URL, gpu, timeout_ms, memory_bytes } = resident.config;
    const where = gpu === undefined ? base_url : `gpu ${gpu}`;
    const server = servers.get(base_url) ?? { models: [], looking: undefined, lookedAt: Number.NEGATIVE_INFINITY };
    const turn = (): Slots => openSlots({ concurrency: 1, queue: QUEUE_LENGTH, longest_wait_ms: timeout_ms }, clock);
    const group = groups.get(where) ?? { gpu, models: [], turn: turn() };
    const long = Number.NEGATIVE_INFINITY;
    const held: Held = {
      resident,
      residency,
      server,
      group,
      loaded: undefined,
      knownAt: long,
      usedAt: long,
      bytes: memory_bytes,
      leaving: false,
    };
    server.models.push(held);
    group.models.push(held);
    servers.set(base_url, server);
    groups.set(where, group);
    places.set(id, held);
  };
  for (const resident of residents) if (resident.runner.residency !== undefined) add(resident, resident.runner.residency);

  const placeOf = (held: Held): Place => ({
    loaded: () => {
      const now = clock.now();
      const { server } = held;
      if (!isFresh(held) && server.looking === undefined && now - server.lookedAt > FRESH_MS && !closing.signal.aborted)
        void looked(server);
      return now - held.knownAt <= STALE_MS ? held.loaded : undefined;
    },
    ready: (signal) => (held.loaded === true && isFresh(held) ? undefined : becomeReady(held, signal)),
    used: () => {
      held.usedAt = clock.now();
      // Kept for no time at all: it is gone already.
      if (!held.leaving) learn(held, held.resident.config.keep_alive_s === 0 ? undefined : true);
    },
    lost: () => learn(held, undefined),
  });
  const opened = new Map([...places].map(([id, held]) => [id, placeOf(held)]));

  const warm = async (held: Held): Promise<void> => {
    const { id } = held.resident.config;
    try {
      await becomeReady(held, closing.signal);
      if (held.loaded === undefined) throw modelFault(id, 'model_unreachable', { detail: 'its server does not say what it has in memory' });
    } catch (error) {
      if (!closing.signal.aborted)
        deps.onProblem(id, toFault(error), 'could not be loaded at the start: its first call will wait for that');
    }
  };

  return {
    of: (id) => opened.get(id),
    warmUp: () => {
      for (const held of places.values()) if (held.resident.config.warm_up) void warm(held);
    },
    close: () => {
      closing.abort(new DOMException('the model gateway is closed', 'AbortError'));
      for (const { turn } of groups.values()) turn.close();
    },
  };
};
