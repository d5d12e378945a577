import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { built } from './build.mjs';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'dats-cache-'));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const shell = (script: string, cwd: string) => ({ file: '/bin/sh', args: ['-c', script], cwd });
const quiet = () => {};

describe('what is built', () => {
  it('is made by its commands in turn, once, and keeps only what is wanted of it', async () => {
    const said: string[] = [];
    let times = 0;
    const wanted = {
      cache,
      name: 'thing-1',
      what: 'thing',
      say: (line: string) => said.push(line),
      commandsIn: async (folder: string) => {
        times += 1;
        return [shell('echo one > part', folder), shell('cat part part > whole', folder)];
      },
      finish: (folder: string) => rmSync(join(folder, 'part')),
    };
    const places = [await built(wanted), await built(wanted)];
    expect([times, places[1]]).toEqual([1, places[0]]);
    expect(readdirSync(places[0]!)).toEqual(['whole']);
    expect(readFileSync(join(places[0]!, 'whole'), 'utf8')).toBe('one\none\n');
    expect(said[0]).toBe(`thing: building it, once on this machine; this takes minutes (log ${join(cache, 'thing-1.build.log')})`);
    expect(said.at(-1)).toMatch(/^thing: built in \d+ s$/);
  });

  it('is not built where that was not allowed, and the error says how to', async () => {
    const commandsIn = async () => [];
    await expect(built({ cache, name: 'thing-1', what: 'thing', allowed: false, commandsIn })).rejects.toMatchObject({
      code: 'not_built',
      message: expect.stringContaining('node deploy/local/servers.mjs build'),
    });
    await built({ cache, name: 'thing-1', what: 'thing', say: quiet, commandsIn });
    expect(await built({ cache, name: 'thing-1', what: 'thing', allowed: false, commandsIn })).toBe(join(cache, 'thing-1'));
  });

  it('is told of while it is made, with the last that its commands said', async () => {
    const said: string[] = [];
    const commandsIn = async (folder: string) => [
      shell('echo "[7/9] seven"; echo "  | caret"; until [ -e go ]; do sleep 0.02; done', folder),
    ];
    const making = built({ cache, name: 'thing-1', what: 'thing', say: (line) => said.push(line), sayEveryMs: 20, commandsIn });
    await vi.waitFor(() => expect(said).toContainEqual(expect.stringMatching(/^thing: building for 0 s: \[7\/9\] seven$/)));
    const folder = readdirSync(cache).find((name) => name.startsWith('.making-'))!;
    writeFileSync(join(cache, folder, 'go'), '');
    await making;
  });

  it('leaves nothing but its log where a command fails, and the error names it and shows its end', async () => {
    const commandsIn = async (folder: string) => [shell('echo half > half; echo "x.cpp:1: error: no such thing" >&2; exit 3', folder)];
    await expect(built({ cache, name: 'thing-1', what: 'thing', say: quiet, commandsIn })).rejects.toMatchObject({
      code: 'build_failed',
      message: expect.stringMatching(
        /thing could not be built: \/bin\/sh ended with exit code 3[\s\S]*thing-1\.build\.log:\n.*no such thing[\s\S]*next: /,
      ),
    });
    expect(readdirSync(cache)).toEqual(['thing-1.build.log']);
  });

  it('is tried again after it failed, and its log begins anew', async () => {
    const failing = async (folder: string) => [shell('echo first; exit 1', folder)];
    await expect(built({ cache, name: 'thing-1', what: 'thing', say: quiet, commandsIn: failing })).rejects.toMatchObject({
      code: 'build_failed',
    });
    await built({ cache, name: 'thing-1', what: 'thing', say: quiet, commandsIn: async (folder) => [shell('echo second', folder)] });
    expect(readFileSync(join(cache, 'thing-1.build.log'), 'utf8')).toBe('second\n');
  });

  it('is not made further when the process that makes it is killed', async () => {
    const pidFile = join(cache, 'pid');
    const script = `
      import { built } from ${JSON.stringify(new URL('./build.mjs', import.meta.url).href)};
      const args = ['-c', 'echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 600', 'sh', process.argv[2]];
      await built({ cache: process.argv[1], name: 'thing-1', what: 'thing', say: () => {}, commandsIn: async () => [{ file: '/bin/sh', args }] });`;
    const maker = spawn(process.execPath, ['--input-type=module', '--eval', script, cache, pidFile], { stdio: 'ignore' });
    await vi.waitFor(() => expect(existsSync(pidFile)).toBe(true), { timeout: 10_000 });
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(() => process.kill(pid, 0)).not.toThrow();
    maker.kill('SIGKILL');
    await once(maker, 'exit');
    const stateOf = () => (existsSync(`/proc/${pid}/stat`) ? /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] : 'gone');
    await vi.waitFor(() => expect(['gone', 'Z']).toContain(stateOf()), { timeout: 10_000 });
    expect(existsSync(join(cache, 'thing-1'))).toBe(false);
  });
});
