// Two runs of which the first to give a sign wins: a second call beside a slow one. Knows nothing of models.
//
// R1. A second run begins when the first gave no sign for `afterMs`, if there is one to begin. R2. Who gives a sign first wins; the other is aborted then, and what
// it does is not looked at. R3. A run that fails without a winner leaves it to the other; when both failed, the first one's error counts.
// R4. It ends when both have ended: no run, timer or listener is left.
import type { Clock } from './clock.js';

/** Why the other run was ended. */
export const BEATEN = new Error('another model answered first');

/** One run: told its own signal, and what to call when the first sign of an answer comes. Rejects soon after its signal aborted. */
export type Run<T> = (signal: AbortSignal, sign: () => void) => Promise<T>;

export interface Race<T> {
  readonly first: Run<T>;
  /** Asked once, when the time has come; undefined, or what it throws: nobody can. */
  readonly second: () => Run<T> | undefined;
  readonly afterMs: number;
}

export const race = async <T>({ first, second, afterMs }: Race<T>, signal: AbortSignal, clock: Clock): Promise<T> => {
  signal.throwIfAborted();
  const controllers: AbortController[] = [];
  let winner: number | undefined;
  const enter = (run: Run<T>): Promise<PromiseSettledResult<T>> => {
    const me = controllers.length;
    const controller = new AbortController();
    controllers.push(controller);
    const sign = (): void => {
      if (winner !== undefined) return;
      winner = me;
      stop();
      for (const other of controllers) if (other !== controller) other.abort(BEATEN);
    };
    const signed = (value: T): T => {
      sign();
      return value;
    };
    return run(controller.signal, sign).then(
      (value) => ({ status: 'fulfilled', value: signed(value) }),
      (reason: unknown) => ({ status: 'rejected', reason }),
    );
  };
  let later: Promise<PromiseSettledResult<T>> | undefined;
  const stop = clock.after(afterMs, () => {
    let run: Run<T> | undefined;
    try {
      run = second();
    } catch {
      // The first one goes on alone: nothing thrown here has anybody to reach.
    }
    if (run !== undefined) later = enter(run);
  });
  const onAbort = (): void => {
    for (const controller of controllers) controller.abort(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const ends = [await enter(first)];
    stop();
    if (later !== undefined) ends.push(await later);
    signal.throwIfAborted();
    const end = ends[winner ?? 0]!;
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  } finally {
    stop();
    signal.removeEventListener('abort', onAbort);
  }
};
