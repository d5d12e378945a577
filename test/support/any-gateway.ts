// Several gateways as one: what a load balancer in front of them does.
import type { Api } from './api.js';

export type AnyGateway = Pick<Api, 'submit' | 'cancel' | 'task' | 'stream'>;

/** Each question goes to the next gateway, and on to another where the connection fails. A stream that breaks is the caller's to take up again. */
export const anyGateway = (apis: readonly Api[]): AnyGateway => {
  let turn = 0;
  const next = (): Api => apis[turn++ % apis.length]!;
  const ask = async <T>(question: (api: Api) => Promise<T>): Promise<T> => {
    let failure: unknown;
    for (let tries = 0; tries < apis.length; tries++) {
      try {
        return await question(next());
      } catch (error) {
        // What fetch throws when there is no answer at all.
        if (!(error instanceof TypeError)) throw error;
        failure = error;
      }
    }
    throw failure;
  };
  return {
    submit: (body, key) => ask((api) => api.submit(body, key)),
    cancel: (id) => ask((api) => api.cancel(id)),
    task: (id) => ask((api) => api.task(id)),
    stream: (path, options) => next().stream(path, options),
  };
};
