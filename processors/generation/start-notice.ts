// `dats.task.started`, said once and cheaply: with the outcome when the model answers at once, by itself when it takes longer.
//
// S1. An instant answer costs no commit of its own. S2. Whatever happens, no timer is left behind. S3. When it was said by itself, it is durable before the outcome.
import type { Draft } from '../draft.js';
import type { EffectContext } from '../effect.js';

/** An answer within this time shares its commit with the notice, in milliseconds. */
export const INSTANT_MS = 5;

export interface StartNotice {
  /** The drafts that have to go before the outcome. @throws Fault when the notice could not be recorded. */
  settle(): Promise<readonly Draft[]> | readonly Draft[];
  /** The work ended without an outcome. */
  drop(): void;
}

export const startNotice = (started: Draft, context: Pick<EffectContext, 'emit'>, instantMs: number = INSTANT_MS): StartNotice => {
  let emitted: Promise<void> | undefined;
  const timer = setTimeout(() => {
    emitted = context.emit([started]);
    // Whoever settles sees the failure; when nobody does any more, it must not end the process.
    emitted.catch(() => {});
  }, instantMs);
  return {
    settle: () => {
      clearTimeout(timer);
      return emitted === undefined ? [started] : emitted.then(() => []);
    },
    drop: () => clearTimeout(timer),
  };
};
