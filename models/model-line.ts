// One configured model as the gateway holds it: its runner, slots, breaker, health, and what its last calls say of it.
//
// N1. A probe takes PROBE_MS at most, and one runs at a time. N2. Only a model that is down is probed by itself, every REPROBE_MS, until it is up.
// N3. A model that comes up again begins with a closed breaker.
// N4. Overloaded without saying until when: left alone for DEFAULT_HOLD_MS, twice as long each time in a row. A storm of such answers counts as one.
import type { ModelCall, ModelConfig } from '../schemas/index.js';
import { type Averages, openAverages, TRIAL_CALLS } from './averages.js';
import { BREAKER_LIMITS, type Breaker, JITTER, openBreaker } from './breaker.js';
import type { Availability } from './choose.js';
import type { Clock } from './clock.js';
import type { ModelStatus } from './gateway.js';
import { isLocal } from './locality.js';
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
/** How long a model that is overloaded without saying until when is left alone; */
export const DEFAULT_HOLD_MS = 1_000;
/** longer each time in a row, up to this. */
export const LONGEST_HOLD_MS = 30_000;

export interface ModelLine {
  readonly config: ModelConfig;
  readonly runner: ModelRunner;
  /** What it is sent stays in the building. */
  readonly local: boolean;
  readonly slots: Slots;
  readonly breaker: Breaker;
  readonly averages: Averages;
  /** When it was called last; -Infinity before. */
  readonly calledAt: number;
  /** The last probe; undefined until the first. */
  readonly health: RunnerHealth | undefined;
  availability(): Availability;
  /** A call of it begins. */
  called(): void;
  /** It answered. */
  answered(): void;
  /** It is overloaded, and says for how long it wants to be left alone, or does not. */
  overloaded(retryAfterMs: number | undefined): void;
  /** Takes a call that ended into what its last calls say; `trial`: of a model that rules keep work away from. */
  observe(call: ModelCall, trial: boolean): void;
  /** Probes now, or joins the probe that runs. Never throws. */
  probe(): Promise<RunnerHealth>;
  /** Without `features`. */
  status(fresh: boolean): Promise<ModelStatus>;
  /** Milliseconds until it may be asked again; 0 when it may. */
  readyInMs(): number;
  close(): Promise<void>;
}

export interface ModelLineDeps {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  /** Name of an environment variable that must be set first. */
  readonly missingKey?: string;
  /** Called when it goes down or comes up. */
  readonly onHealth?: (health: RunnerHealth) => void;
}

/** Faults that are about the request, or a model's right to refuse it: they say nothing against it. */
const ABOUT_THE_REQUEST: ReadonlySet<string> = new Set(['model_refused', 'model_context', 'model_rejected']);

const observeIn = (averages: Averages, call: ModelCall, trial: boolean): void => {
  const { outcome, error_type, operation, cold, time_to_first_chunk_ms } = call;
  if (outcome === 'aborted') return;
  if (error_type !== undefined && ABOUT_THE_REQUEST.has(error_type)) return;
  const latency = operation === 'chat' && cold !== true ? time_to_first_chunk_ms : undefined;
  averages.add(outcome !== 'ok', latency, trial ? TRIAL_CALLS : 1);
};

export const openModelLine = (config: ModelConfig, runner: ModelRunner, deps: ModelLineDeps): ModelLine => {
  const { clock, missingKey, random = Math.random } = deps;
  const slots = openSlots({ concurrency: config.concurrency, queue: QUEUE_LENGTH, longest_wait_ms: config.timeout_ms }, clock);
  const breaker = openBreaker(clock, BREAKER_LIMITS, random);
  const averages = openAverages(clock);
  let calledAt = Number.NEGATIVE_INFINITY;
  let hold = DEFAULT_HOLD_MS;
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
    local: isLocal(config),
    slots,
    breaker,
    averages,
    get calledAt() {
      return calledAt;
    },
    get health() {
      return health;
    },
    availability: () => {
      if (health !== undefined && !health.ok) return 'down';
      if (!breaker.admits()) return breaker.held ? 'waiting' : 'cooling';
      return slots.full ? 'waiting' : 'ready';
    },
    called: () => {
      calledAt = clock.now();
    },
    answered: () => {
      hold = DEFAULT_HOLD_MS;
    },
    overloaded: (retryAfterMs) => {
      if (retryAfterMs !== undefined) breaker.hold(retryAfterMs);
      else if (!breaker.held) {
        breaker.hold(hold * (1 + JITTER * random()));
        hold = Math.min(hold * 2, LONGEST_HOLD_MS);
      }
    },
    observe: (call, trial) => observeIn(averages, call, trial),
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
        local: isLocal(config),
        breaker: breaker.state,
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
