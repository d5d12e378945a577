// A failure that a person can act on: what happened, why, what to do next. Everything else that is thrown here is a bug and keeps its stack.

/**
 * @param {string} code stable, snake_case: `java_missing`, `port_taken`, `not_answering`
 * @param {string} message
 * @param {unknown} [cause]
 */
export const failure = (code, message, cause) =>
  Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code, ours: true });

/** @param {unknown} error */
export const isFailure = (error) => error instanceof Error && /** @type {any} */ (error).ours === true;
