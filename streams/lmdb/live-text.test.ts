// Live text over unix sockets: the contract, and what only several processes can do. Each opening is a process to the others.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LiveText } from '../index.js';
import { liveTextContract, numbers, say, watch } from '../live-text.contract.js';
import { openLmdbLiveText } from './index.js';

liveTextContract('unix sockets', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-live-'));
  return { open: () => openLmdbLiveText({ dir }), dispose: () => rm(dir, { recursive: true }) };
});

describe('live text between processes on one disk', () => {
  let dir: string;
  let opened: LiveText[];
  const open = async (folder = dir): Promise<LiveText> => {
    const live = await openLmdbLiveText({ dir: folder });
    opened.push(live);
    return live;
  };
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'dats-live-'));
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((live) => live.close()));
    await rm(dir, { recursive: true });
  });

  it('what several processes said is put in order for who comes late', async () => {
    const [first, second, gateway] = [await open(), await open(), await open()];
    second.publish('task', { attempt: 2, seq: 0, text: 'right' });
    first.publish('task', { attempt: 1, seq: 0, text: 'wrong' });
    first.publish('task', { attempt: 1, seq: 1, text: '', end: true });
    const watcher = watch(gateway, 'task');
    await watcher.until(0, 2);
    expect(watcher.seen.items.map(({ attempt, seq }) => [attempt, seq])).toEqual([
      [1, 0],
      [1, 1],
      [2, 0],
    ]);
    await watcher.stop();
  });

  it('a process that comes later is heard by who follows already', async () => {
    const gateway = await open();
    const watcher = watch(gateway, 'task');
    const worker = await open();
    say(worker, 'task', 0, 3);
    expect(await watcher.until(2)).toEqual([0, 1, 2]);
    await watcher.stop();
  });

  it('a process that goes away ends nothing: another one says the rest', async () => {
    const [dying, gateway, next] = [await open(), await open(), await open()];
    const watcher = watch(gateway, 'task');
    say(dying, 'task', 0, 3);
    await watcher.until(2);
    await dying.close();
    say(next, 'task', 5, 7);
    expect(await watcher.until(6)).toEqual([0, 1, 2, 5, 6]);
    await watcher.stop();
  });

  it('sockets are gone with their processes, and of one that was killed with the next who calls it', async () => {
    const [one, other] = [await open(), await open()];
    expect((await readdir(join(dir, 'live'))).length).toBe(2);
    await one.close();
    expect((await readdir(join(dir, 'live'))).length).toBe(1);
    await writeFile(join(dir, 'live', 'aaaaaaaaaaaa.sock'), '');
    const watcher = watch(other, 'task');
    say(other, 'task', 0, 2);
    expect(await watcher.until(1)).toEqual([0, 1]);
    await expect.poll(() => readdir(join(dir, 'live'))).toHaveLength(1);
    await watcher.stop();
  });

  it('a long path is no obstacle', async () => {
    const far = join(dir, 'a-long-name-'.repeat(10));
    const [here, there] = [await open(far), await open(far)];
    const watcher = watch(there, 'task');
    say(here, 'task', 0, 5);
    expect(await watcher.until(4)).toEqual(numbers(0, 5));
    await watcher.stop();
  });

  it('one that is stopped holds up nobody for long', async () => {
    const [here, there] = [await open(), await open()];
    // Takes calls and says nothing, as a process does that is stopped.
    const { createServer } = await import('node:net');
    const stopped = createServer(() => undefined);
    await new Promise<void>((resolve) => stopped.listen(join(dir, 'live', 'bbbbbbbbbbbb.sock'), resolve));
    say(here, 'task', 0, 2);
    const watcher = watch(there, 'task');
    expect(await watcher.until(1)).toEqual([0, 1]);
    await watcher.stop();
    stopped.close();
  });

  it('whoever sends nonsense is cut off', async () => {
    await open();
    const [name] = await readdir(join(dir, 'live'));
    for (const nonsense of ['nonsense\n', '?one\n?two\n']) {
      const socket = connect(join(dir, 'live', name!));
      socket.resume();
      socket.write(nonsense);
      await new Promise((resolve) => socket.on('close', resolve));
    }
    const hello = connect(join(dir, 'live', name!));
    hello.end('+../../etc/passwd\n');
    await new Promise((resolve) => hello.on('close', resolve));
  });
});
