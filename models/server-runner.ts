// What the two runners over HTTP share: their options, and a probe that never throws.
import { isFault } from '../schemas/index.js';
import { type Clock, systemClock } from './clock.js';
import type { Limits } from './deadline.js';
import { type HttpCall, type HttpCallOptions, openHttpCall } from './http-call.js';
import type { RunnerHealth } from './runner.js';

export interface ServerRunnerOptions extends Limits {
  /** Id in servers.yaml, for messages. */
  readonly id: string;
  /** The name that the server knows. */
  readonly model: string;
  readonly base_url: string;
  /** Value of `gen_ai.provider.name`. */
  readonly provider?: string;
  readonly clock?: Clock;
  readonly fetch?: typeof fetch;
}

interface CallDetails {
  readonly inspect?: HttpCallOptions['inspect'];
  readonly traceparent?: string | undefined;
}

export const callOf = (options: ServerRunnerOptions, signal: AbortSignal, { inspect, traceparent }: CallDetails = {}): HttpCall =>
  openHttpCall(
    {
      model: options.id,
      limits: options,
      clock: options.clock ?? systemClock,
      fetch: options.fetch ?? fetch,
      ...(inspect === undefined ? {} : { inspect }),
      ...(traceparent === undefined ? {} : { traceparent }),
    },
    signal,
  );

/** Runs `look`, which tells what is wrong or undefined; whatever it throws becomes the detail. */
export const probe = async (id: string, clock: Clock, look: () => Promise<string | undefined>): Promise<RunnerHealth> => {
  const started = clock.now();
  let detail: string | undefined;
  try {
    detail = await look();
  } catch (error) {
    detail = isFault(error) ? error.message : `model ${id}: no answer in the time of a probe; check that the server runs and is not stuck`;
  }
  return { ok: detail === undefined, ...(detail === undefined ? {} : { detail }), latency_ms: clock.now() - started };
};
