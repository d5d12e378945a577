// How many calls of models a replay may still make, over all its runs.
//
// B1. A call is made only after the log says that it may have been: however often a run is cut off, no more than `max` are made. B2. They are said STEP at a time, so
// that a run that is cut off wastes at most STEP - 1.

/** Calls that are said at a time. */
const STEP = 10;

export interface BudgetOptions {
  readonly max: number;
  /** What earlier runs said. */
  readonly spent: number;
  /** Says, durable when it resolves, that up to so many calls may have been made. */
  readonly say: (calls: number) => Promise<void>;
}

export interface Budget {
  /** Takes one call out; it may be made when the promise resolves. Undefined: none is left. */
  take(): Promise<void> | undefined;
}

export const openBudget = ({ max, spent, say }: BudgetOptions): Budget => {
  let taken = spent;
  let said = spent;
  let saying = Promise.resolve();
  const upTo = async (call: number): Promise<void> => {
    if (said >= call) return;
    const next = Math.min(max, said + STEP);
    await say(next);
    said = next;
  };
  return {
    take() {
      if (taken >= max) return undefined;
      const call = ++taken;
      saying = saying.then(() => upTo(call));
      return saying;
    },
  };
};
