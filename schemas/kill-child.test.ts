import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, vi } from 'vitest';
import { killChild } from './kill-child.js';

it('a child that could not be started is not sent a signal, which would reach another', async () => {
  const child = spawn('dats-no-such-program');
  const told = once(child, 'error');
  const kill = vi.spyOn(child, 'kill').mockReturnValue(true);
  expect(killChild(child, 'SIGKILL')).toBe(false);
  expect(kill).not.toHaveBeenCalled();
  expect((await told)[0]).toMatchObject({ code: 'ENOENT' });
});

it('a child that runs is ended', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  expect(killChild(child, 'SIGKILL')).toBe(true);
  expect(await ended).toEqual([null, 'SIGKILL']);
});
