import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { demoDataDir, freshDemoFolder } from './demo-folder.js';

const dataDir = () => join(mkdtempSync(join(tmpdir(), 'dats-test-')), '.dats');

describe('the folder of the demo', () => {
  it('stands beside the data folder, and is emptied by the next demo', () => {
    const data = dataDir();
    const first = freshDemoFolder(data);
    expect(first).toBe(`${data}-demo`);
    writeFileSync(join(first, 'left'), 'x');
    expect(freshDemoFolder(data)).toBe(first);
    expect(existsSync(join(first, 'left'))).toBe(false);
  });

  it('that no demo made is not emptied', () => {
    const data = dataDir();
    mkdirSync(demoDataDir(data));
    writeFileSync(join(demoDataDir(data), 'mine'), 'x');
    expect(() => freshDemoFolder(data)).toThrow(/something else/);
    expect(existsSync(join(demoDataDir(data), 'mine'))).toBe(true);
  });

  it('is not taken from a demo that runs', () => {
    const data = dataDir();
    const dir = freshDemoFolder(data);
    writeFileSync(join(dir, 'demo.json'), JSON.stringify({ pid: process.ppid }));
    expect(() => freshDemoFolder(data)).toThrow(/another demo/);
  });
});
