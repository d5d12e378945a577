// Waiting in the background: for what goes on beside the work of a process and must not keep it alive. Injected, so that tests turn time by hand.

/** Runs `fire` once after `ms` milliseconds; the returned function calls it off. */
export type After = (ms: number, fire: () => void) => () => void;

export const inBackground: After = (ms, fire) => {
  const timer = setTimeout(fire, ms);
  timer.unref();
  return () => clearTimeout(timer);
};
