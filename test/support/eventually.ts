// Waiting for a condition of another process: there is no event to await across processes, so it is asked again until a deadline.

/** Between two looks, in milliseconds. */
const LOOK_MS = 20;

const turn = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What `check` gives as soon as it gives something other than undefined or false. A check that throws counts as "not yet".
 * @throws after `limitMs`, naming what was awaited and why the last look was not it.
 */
export const eventually = async <T>(
  what: string,
  limitMs: number,
  check: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> => {
  let last: unknown;
  const deadline = performance.now() + limitMs;
  do {
    try {
      const found = await check();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await turn(LOOK_MS);
  } while (performance.now() < deadline);
  throw new Error(`${what}: not within ${limitMs} ms`, last === undefined ? undefined : { cause: last });
};
