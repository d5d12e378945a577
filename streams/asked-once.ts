// An answer that stays: whoever asks meanwhile waits for the same.

/** Asks when the first one wants to know, and again where that failed. */
export const askedOnce = <T>(ask: () => Promise<T>): (() => Promise<T>) => {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    });
    return answer;
  };
};
