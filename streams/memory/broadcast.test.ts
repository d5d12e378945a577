import { expect, test } from 'vitest';
import { broadcastContract, listenTo } from '../broadcast.contract.js';
import { createBroadcastHub, openMemoryBroadcast } from './index.js';

broadcastContract('memory', async () => {
  const hub = createBroadcastHub();
  return { open: async () => openMemoryBroadcast(hub), dispose: async () => {} };
});

test('without a hub it is alone', async () => {
  const hub = createBroadcastHub();
  const [alone, here, there] = [openMemoryBroadcast(), openMemoryBroadcast(hub), openMemoryBroadcast(hub)];
  const heard = [alone, there].map((one) => listenTo(one, 'channel'));
  await alone.publish('channel', 'to nobody');
  await here.publish('channel', 'to the hub');
  await heard[1]!.until((words) => words.length > 0);
  expect(heard.map(({ items }) => items)).toEqual([[], ['to the hub']]);
});
