// The OpenAI-compatible surface as the route table knows it: is it there, and how its errors look.
import type { Servers } from '../../schemas/index.js';
import type { Services } from '../services.js';
import type { Surface } from '../table.js';
import { documentedErrors, type OpenAiErrorCode, refusal, refuseWith } from './errors.js';

export const PREFIX = '/v1/';

/** Whether this API is there now: asked at every request, so that a flag that changes while the process runs is seen. */
export const isEndpointOn = ({ config }: { readonly config: Pick<Servers, 'flags'> }): boolean => config.flags.openai_endpoint;

/** @throws Fault `endpoint_off` */
export const admit = ({ deps }: Pick<Services, 'deps'>): void => {
  if (!isEndpointOn(deps))
    throw refuseWith('endpoint_off', 'the OpenAI-compatible API is turned off here; set flags.openai_endpoint to true to turn it on');
};

/** Errors of every route with a body. */
export const BODY_ERRORS = ['malformed_json', 'validation_failed', 'body_too_large', 'unsupported_media_type', 'client_gone'] as const;

/** Errors of every route that asks a model. */
export const MODEL_ERRORS = [
  'invalid_parameter',
  'model_context',
  'model_refused',
  'model_rejected',
  'model_not_allowed',
  'model_not_found',
  'model_missing',
  'model_overloaded',
  'insufficient_quota',
  'budget_exceeded',
  'call_limit',
  'model_unreachable',
  'model_error',
  'model_garbage',
  'no_model',
  'unavailable',
  'model_timeout',
] as const satisfies readonly OpenAiErrorCode[];

/** The surface of a route that answers with these errors beside those of every route. */
export const surfaceWith = (codes: readonly OpenAiErrorCode[]): Surface => ({ admit, refusal, refusals: documentedErrors(codes) });
