// Which models their servers have in memory, and loading and unloading them. For runners with `residency`; all others are left as they are.
//
// Y1. One load at a time on one graphics processor; models that name none share their server. Who waits leaves at an abort.
// Y2. A call to a model that is not in memory loads it first. Where nobody knows, the call is made: the server loads it by itself.
// Y3. Where what must be loaded does not fit beside what is there, the models that were used longest ago are unloaded; never one with calls. Where that is not
//     enough, or sizes are unknown, the server decides.
// Y4. A server is asked what it has while it is in use, once in FRESH_MS at most, and no timer does it.
import { setMaxListeners } from 'node:events';
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

const LONG_AGO = Number.NEGATIVE_INFINITY;

/** Of those that are there, with known size and without calls. */
const longestUnused = (models: readonly Held[], but: ReadonlySet<Held>): Held | undefined => {
  let found: Held | undefined;
  for (const held of models) {
    if (but.has(held) || held.loaded !== true || held.bytes === undefined || held.resident.busy() > 0) continue;
    if (found === undefined || held.usedAt < found.usedAt) found = held;
  }
  return found;
};

class OpenedResidencies implements Residencies {
  readonly #deps: ResidencyDeps;
  readonly #closing = new AbortController();
  readonly #held: Held[] = [];
  readonly #places = new Map<string, Place>();
  readonly #servers = new Map<string, Server>();
  readonly #groups = new Map<string, Group>();

  constructor(residents: readonly Resident[], deps: ResidencyDeps) {
    this.#deps = deps;
    // As many as there are servers, and models to warm up, listen to it: no sign of a leak.
    setMaxListeners(0, this.#closing.signal);
    for (const resident of residents) if (resident.runner.residency !== undefined) this.#add(resident, resident.runner.residency);
  }

  of(id: string): Place | undefined {
    return this.#places.get(id);
  }

  warmUp(): void {
    for (const held of this.#held) if (held.resident.config.warm_up) void this.#warm(held);
  }

  close(): void {
    this.#closing.abort(new DOMException('the model gateway is closed', 'AbortError'));
    for (const { turn } of this.#groups.values()) turn.close();
  }

  #add(resident: Resident, residency: Residency): void {
    const { id, base_url = OLLAMA_URL, gpu, timeout_ms, memory_bytes } = resident.config;
    const where = gpu === undefined ? base_url : `gpu ${gpu}`;
    const server = this.#servers.get(base_url) ?? { models: [], looking: undefined, lookedAt: LONG_AGO };
    const limits = { concurrency: 1, queue: QUEUE_LENGTH, longest_wait_ms: timeout_ms };
    const group = this.#groups.get(where) ?? { gpu, models: [], turn: openSlots(limits, this.#deps.clock) };
    const known = { loaded: undefined, knownAt: LONG_AGO, usedAt: LONG_AGO, bytes: memory_bytes, leaving: false };
    const held: Held = { resident, residency, server, group, ...known };
    server.models.push(held);
    group.models.push(held);
    this.#held.push(held);
    this.#servers.set(base_url, server);
    this.#groups.set(where, group);
    this.#places.set(id, this.#placeOf(held));
  }

  #placeOf(held: Held): Place {
    return {
      loaded: () => this.#loaded(held),
      ready: (signal) => (held.loaded === true && this.#isFresh(held) ? undefined : this.#becomeReady(held, signal)),
      used: () => {
        held.usedAt = this.#deps.clock.now();
        // Kept for no time at all: it is gone already.
        if (!held.leaving) this.#learn(held, held.resident.config.keep_alive_s === 0 ? undefined : true);
      },
      lost: () => this.#learn(held, undefined),
    };
  }

  /** Y4. */
  #loaded(held: Held): boolean | undefined {
    const now = this.#deps.clock.now();
    const { server } = held;
    if (!this.#isFresh(held) && now - server.lookedAt > FRESH_MS && !this.#closing.signal.aborted) void this.#looked(server);
    return now - held.knownAt <= STALE_MS ? held.loaded : undefined;
  }

  #isFresh(held: Held): boolean {
    return this.#deps.clock.now() - held.knownAt <= FRESH_MS;
  }

  #learn(held: Held, loaded: boolean | undefined): void {
    held.loaded = loaded;
    held.knownAt = this.#deps.clock.now();
  }

  #looked(server: Server): Promise<void> {
    server.looking ??= this.#look(server);
    return server.looking;
  }

  async #look(server: Server): Promise<void> {
    const { clock } = this.#deps;
    const closing = this.#closing.signal;
    const askedAt = clock.now();
    const controller = new AbortController();
    const end = (): void => controller.abort(closing.reason);
    const stop = clock.after(LOOK_MS, end, true);
    closing.addEventListener('abort', end, { once: true });
    try {
      this.#hear(server, await server.models[0]!.residency.loaded(controller.signal), askedAt);
    } catch {
      // It does not say: what was known grows stale, and calls find out.
    } finally {
      stop();
      closing.removeEventListener('abort', end);
      server.looking = undefined;
      server.lookedAt = clock.now();
    }
  }

  #hear(server: Server, listed: readonly LoadedModel[], askedAt: number): void {
    for (const held of server.models) {
      const { model, id } = held.resident.config;
      const found = listed.find(({ name }) => sameName(name, model ?? id));
      if (found?.memory_bytes !== undefined && found.memory_bytes > 0) held.bytes = found.memory_bytes;
      // What happened after the question was asked is newer than the answer.
      if (!held.leaving && held.knownAt <= askedAt) this.#learn(held, found !== undefined);
    }
  }

  /** Y2. */
  async #becomeReady(held: Held, signal: AbortSignal): Promise<void> {
    if (!held.leaving && (held.loaded === undefined || !this.#isFresh(held))) await orAborted(this.#looked(held.server), signal);
    if (held.loaded === false) await this.#load(held, signal);
  }

  /** Y1. */
  async #load(held: Held, signal: AbortSignal): Promise<void> {
    const { config } = held.resident;
    const { turn } = held.group;
    const { clock, onMoved } = this.#deps;
    if (!turn.tryTake() && !(await turn.take(signal)))
      throw modelFault(config.id, 'model_timeout', { detail: 'other models were loaded before it for too long' });
    try {
      // Who had the turn before may have loaded this one.
      if (held.loaded === true) return;
      await this.#makeRoom(held, signal);
      const began = clock.now();
      await held.residency.load(signal);
      this.#learn(held, true);
      held.usedAt = clock.now();
      onMoved(config.id, 'loaded', clock.now() - began);
    } finally {
      turn.give();
    }
    // What it takes is known only now.
    if (held.bytes === undefined && !this.#closing.signal.aborted) void this.#looked(held.server);
  }

  /** Y3. */
  async #makeRoom(held: Held, signal: AbortSignal): Promise<void> {
    const { group } = held;
    const memory = group.gpu === undefined ? undefined : this.#deps.memory(group.gpu);
    if (memory?.memory_total_bytes === undefined || held.bytes === undefined) return;
    const ours = group.models.reduce((sum, { loaded, bytes }) => sum + (loaded === true ? (bytes ?? 0) : 0), 0);
    // A reading is some seconds old, and what we know does not hold what others have there.
    let free = memory.memory_total_bytes - Math.max(ours, memory.memory_used_bytes ?? 0);
    const tried = new Set([held]);
    while (free < held.bytes) {
      const victim = longestUnused(group.models, tried);
      if (victim === undefined) return;
      tried.add(victim);
      if (await this.#unload(victim, signal)) free += victim.bytes!;
    }
  }

  async #unload(held: Held, signal: AbortSignal): Promise<boolean> {
    const { clock, onMoved, onProblem } = this.#deps;
    const { id } = held.resident.config;
    const began = clock.now();
    held.leaving = true;
    this.#learn(held, false);
    try {
      await held.residency.unload(signal);
      onMoved(id, 'unloaded', clock.now() - began);
      return true;
    } catch (error) {
      this.#learn(held, undefined);
      signal.throwIfAborted();
      onProblem(id, toFault(error), 'could not be unloaded');
      return false;
    } finally {
      held.leaving = false;
    }
  }

  async #warm(held: Held): Promise<void> {
    const { id } = held.resident.config;
    const { signal } = this.#closing;
    try {
      await this.#becomeReady(held, signal);
      if (held.loaded === undefined) throw modelFault(id, 'model_unreachable', { detail: 'its server does not say what it has in memory' });
    } catch (error) {
      if (!signal.aborted) this.#deps.onProblem(id, toFault(error), 'could not be loaded at the start: its first call will wait for that');
    }
  }
}

export const openResidencies = (residents: readonly Resident[], deps: ResidencyDeps): Residencies => new OpenedResidencies(residents, deps);
