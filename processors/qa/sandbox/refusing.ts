// Rung 0: where no rung works, running generated code is refused; it is never run bare.
import { Fault } from '../../../schemas/index.js';
import type { Sandbox } from './sandbox.js';

/** A sandbox whose `run` always throws the terminal Fault `sandbox_unavailable` with `why`, which says what to install or set. */
export const refusingSandbox = (why: string): Sandbox => ({
  rung: 'none',
  run: async () => {
    throw new Fault('terminal', 'sandbox_unavailable', why);
  },
});
