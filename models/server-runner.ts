// What the two runners over HTTP share: their options, and a probe that never throws.
import { isFault } from '../schemas/index.js';
import { type Clock, systemClock } from './clock.js';
import type { Limits } from './deadline.js';
import { type HttpCall, openHttpCall } from './http-call.js';
import type { RunnerHealth } from './runner.js';
import { nodeTransport, type Transport } from './transport.js';

export interface ServerRunnerOptions extends Limits {
  /** Id in servers.yaml, for messages. */
  readonly id: string;
  /** The name that the server knows. */
  readonly model: string;
  readonly base_url: string;
  /** Value of `gen_ai.provider.name`. */
  readonly provider?: string;
  readonly clock?: Clock;
  readonly transport?: Transport;
}

/** What a good answer to anything but a stream is. */
const JSON_TYPES = ['application/json'];

interface CallDetails {
  /** Content types of a good answer. Default: JSON. */
  readonly accepts?: readonly string[];
  /** Instead of the configured ones. */
  readonly limits?: Limits;
  readonly traceparent?: string | undefined;
}

export const callOf = (options: ServerRunnerOptions, signal: AbortSignal, details: CallDetails = {}): HttpCall =>
  openHttpCall(
    {
      model: options.id,
      limits: details.limits ?? options,
      clock: options.clock ?? systemClock,
      transport: options.transport ?? nodeTransport,
      accepts: details.accepts ?? JSON_TYPES,
      ...(details.traceparent === undefined ? {} : { traceparent: details.traceparent }),
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
