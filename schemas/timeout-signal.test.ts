import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { timeoutSignal } from './timeout-signal.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

it('a time is over also where only AbortSignal.any knows of it, and garbage was collected', async () => {
  const other = new AbortController();
  const over = new Promise((resolve) => {
    const signal = AbortSignal.any([other.signal, timeoutSignal(60)]);
    signal.addEventListener('abort', () => resolve((signal.reason as Error).name), { once: true });
  });
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  collect();
  expect(await over).toBe('TimeoutError');
});
