import { expect, test } from 'vitest';
import { liveTextContract, numbers, say, watch } from '../live-text.contract.js';
import { REPLAY_MS } from '../live-text.js';
import { openMemoryLiveText } from './index.js';

liveTextContract('memory', async () => {
  const live = openMemoryLiveText();
  return { open: async () => live, dispose: () => live.close() };
});

test('what was said is forgotten after its time, and of very many tasks those that were silent longest', async () => {
  let now = 0;
  const live = openMemoryLiveText({ now: () => now });
  say(live, 'old', 0, 3);
  now = REPLAY_MS;
  const just = watch(live, 'old');
  expect(await just.until(2)).toEqual(numbers(0, 3));
  now = REPLAY_MS + 1;
  const late = watch(live, 'old');
  // The first read has asked for the replay.
  await Promise.resolve();
  say(live, 'old', 3, 4);
  expect(await late.until(3)).toEqual([3]);
  expect(await just.until(3)).toEqual(numbers(0, 4));
  for (let task = 0; task < 1_000; task++) say(live, `task-${task}`, 0, 1);
  const forgotten = watch(live, 'old');
  await Promise.resolve();
  say(live, 'old', 4, 5);
  expect(await forgotten.until(4)).toEqual([4]);
  await live.close();
});
