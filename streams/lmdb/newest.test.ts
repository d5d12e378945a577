import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { whileNobodyOpens } from './newest.js';
import { thisProcess } from './process-identity.js';

let dir: string;
let lock: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-newest-'));
  lock = join(dir, 'open.lock');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('nobody opens while another living process does', async () => {
  writeFileSync(lock, JSON.stringify(thisProcess()));
  const order: string[] = [];
  const second = whileNobodyOpens(dir, () => order.push('second'));
  await new Promise((done) => setImmediate(done));
  order.push('first ends');
  rmSync(lock);
  await second;
  expect(order).toEqual(['first ends', 'second']);
  expect(existsSync(lock)).toBe(false);
});

test('the lock of a process that is gone is in nobody’s way', async () => {
  writeFileSync(lock, JSON.stringify({ ...thisProcess(), started: '1' }));
  expect(await whileNobodyOpens(dir, () => 'open')).toBe('open');
  expect(existsSync(lock)).toBe(false);
});

test('an opening that fails leaves no lock', async () => {
  await expect(
    whileNobodyOpens(dir, () => {
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  expect(existsSync(lock)).toBe(false);
});
