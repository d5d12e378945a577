// One configured model as the gateway holds it: its runner, slots, breaker and health.
//
// N1. A probe takes PROBE_MS at most, and one runs at a time. N2. Only a model that is down is probed by itself, every REPROBE_MS, until it is up.
// N3. A model that comes up again begins with a closed breaker.
import type { ModelConfig } from '../schemas/index.js';
import type { Price } from './accounting.js';
import { type Breaker, openBreaker } from './breaker.js';
import type { Availability } from './choose.js';
import type { Clock } from './clock.js';
import type { ModelStatus } from './gateway.js';
import type { ModelRunner, RunnerHealth } from './runner.js';
import { openSlots, type Slots } from './slots.js';

/** A probe that takes longer has failed. */
export const PROBE_MS = 2_000;
/** Between probes of a model that is down. */
export const REPROBE_MS = 2_000;
/** `status` believes a probe for so long. */
export const HEALTH_FRESH_MS = 10_000;
/** Calls that wait for a slot of one model. */
export const QUEUE_LENGTH = 1_024;

export interface ModelLine {
  readonly config: ModelConfig;
  readonly runner: ModelRunner;
  /** Undefined where nobody says what it costs. */
  readonly price: Price | undefined;
  readonly slots: Slots;
  readonly breaker: Breaker;
  /** The last probe; undefined until the first. */
  readonly health: RunnerHealth | undefined;
  availability(): Availability;
  /** Probes now, or joins the probe that runs. Never throws. */
  probe(): Promise<RunnerHealth>;
  status(fresh: boolean): Promise<ModelStatus>;
  /** Milliseconds until it may be asked again; 0 when it may. */
  readyInMs(): number;
  close(): Promise<void>;
}

export interface ModelLineDeps {
  readonly clock: Clock;
  readonly price?: Price | undefined;
  /** Name of an environment variable that must be set first. */
  readonly missingKey?: string;
  /** Called when it goes down or comes up. */
  readonly onHealth?: (health: RunnerHealth) => void;
}

export const openModelLine = (config: ModelConfig, runner: ModelRunner, deps: ModelLineDeps): ModelLine => {
  const { clock, missingKey } = deps;
  const slots = openSlots({ concurrency: config.concurrency, queue: QUEUE_LENGTH, longest_wait_ms: config.timeout_ms }, clock);
  const breaker = openBreaker(clock);
  let health: RunnerHealth | undefined = runner.scripted ? { ok: true, latency_ms: 0 } : undefined;
  let probedAt = Number.NEGATIVE_INFINITY;
  let probing: Promise<RunnerHealth> | undefined;
  let stopReprobe: (() => void) | undefined;
  let endProbe: (() => void) | undefined;
  let closed = false;

  const look = async (): Promise<RunnerHealth> => {
    if (missingKey !== undefined)
      return {
        ok: false,
        latency_ms: 0,
        detail: `model ${config.id}: the environment variable ${missingKey} is not set; set it and start again`,
      };
    const controller = new AbortController();
    endProbe = () => controller.abort();
    const stop = clock.after(PROBE_MS, endProbe, true);
    try {
      return await runner.health(controller.signal);
    } finally {
      stop();
      endProbe = undefined;
    }
  };
  const learn = (found: RunnerHealth): RunnerHealth => {
    const before = health;
    health = found;
    probedAt = clock.now();
    probing = undefined;
    if (found.ok && before?.ok === false) breaker.reset();
    if (before?.ok !== found.ok) deps.onHealth?.(found);
    stopReprobe?.();
    stopReprobe = found.ok || closed || missingKey !== undefined ? undefined : clock.after(REPROBE_MS, () => void probe(), true);
    return found;
  };
  const probe = (): Promise<RunnerHealth> => {
    probing ??= look().then(learn);
    return probing;
  };

  const statusHealth = (found: RunnerHealth): RunnerHealth => {
    if (!found.ok || breaker.admits()) return found;
    const left = Math.ceil(breaker.readyInMs());
    const why = breaker.held
      ? 'asked to wait'
      : breaker.state === 'open'
        ? 'failed several times in a row'
        : 'is being tried after failures';
    return {
      ...found,
      ok: false,
      detail: `model ${config.id} ${why}; asked again ${left > 0 ? `in ${left} ms` : 'when that call has ended'}`,
    };
  };

  return {
    config,
    runner,
    price: deps.price,
    slots,
    breaker,
    get health() {
      return health;
    },
    availability: () => {
      if (health !== undefined && !health.ok) return 'down';
      if (!breaker.admits()) return breaker.held ? 'waiting' : 'cooling';
      return slots.full ? 'waiting' : 'ready';
    },
    probe,
    status: async (fresh) => {
      const found =
        runner.scripted || (!fresh && health !== undefined && clock.now() - probedAt < HEALTH_FRESH_MS)
          ? (health as RunnerHealth)
          : await probe();
      const left = Math.ceil(breaker.readyInMs());
      return {
        id: config.id,
        provider: runner.provider,
        runner: config.runner,
        scripted: runner.scripted,
        fallback: config.fallback,
        tiers: config.tiers,
        domains: config.domains,
        health: statusHealth(found),
        running: slots.running,
        queued: slots.queued,
        ...(left > 0 ? { retry_after_ms: left } : {}),
      };
    },
    readyInMs: () => Math.max(breaker.readyInMs(), health?.ok === false ? REPROBE_MS : 0),
    close: async () => {
      closed = true;
      stopReprobe?.();
      endProbe?.();
      slots.close();
      await runner.close();
    },
  };
};
