import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { SandboxRequest } from './sandbox.js';
import { openSandbox } from './select.js';

const request: SandboxRequest = {
  command: ['python3', '-c', 'print(1)'],
  files: [],
  limits: { timeout_ms: 5_000, memory_bytes: 128 * 1024 * 1024, processes: 32, output_bytes: 1_000, disk_bytes: 1_000_000 },
};
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe('choosing the sandbox', () => {
  it('auto takes a rung that really runs something here', async () => {
    const sandbox = await openSandbox({ rung: 'auto', hidden: [], env: process.env });
    expect(['bubblewrap', 'unshare']).toContain(sandbox.rung);
    expect(await sandbox.run(request, AbortSignal.timeout(20_000))).toMatchObject({ code: 0, stdout: '1\n' });
  });

  it('removes what an owner left that was killed, and nothing of a living one', async () => {
    const gone = spawnSync(process.execPath, ['--version']).pid;
    const left = mkdtempSync(join(tmpdir(), `dats-sandbox-${gone}-`));
    const used = mkdtempSync(join(tmpdir(), `dats-sandbox-${process.pid}-`));
    folders.push(left, used);
    await openSandbox({ rung: 'auto', hidden: [], env: process.env });
    expect([existsSync(left), existsSync(used)]).toEqual([false, true]);
  });

  it('none refuses to run anything', async () => {
    const sandbox = await openSandbox({ rung: 'none', hidden: [], env: process.env });
    await expect(sandbox.run(request, AbortSignal.timeout(1_000))).rejects.toMatchObject({ kind: 'terminal', code: 'sandbox_unavailable' });
  });

  it('an interpreter inside a hidden directory is not shown: it refuses and says what to do', async () => {
    const sandbox = await openSandbox({ rung: 'auto', hidden: [dirname(process.execPath), '/'], env: process.env });
    expect(sandbox.rung).toBe('none');
    await expect(sandbox.run(request, AbortSignal.timeout(1_000))).rejects.toThrow(
      /outside the data directory.*Install the tools: apt-get install bubblewrap/s,
    );
  });

  it('a machine without python3 runs node, and a request for python3 says what to install', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'dats-no-python-'));
    folders.push(empty);
    const sandbox = await openSandbox({ rung: 'auto', hidden: [], env: { PATH: empty } });
    expect(sandbox.rung).not.toBe('none');
    await expect(sandbox.run(request, AbortSignal.timeout(5_000))).rejects.toMatchObject({ kind: 'terminal', code: 'program_missing' });
  });

  it('a hidden directory below a shown one is covered', async () => {
    const hidden = '/usr/share';
    const sandbox = await openSandbox({ rung: 'auto', hidden: [hidden], env: process.env });
    const result = await sandbox.run(
      { ...request, command: ['sh', '-c', `ls -A ${hidden} | wc -l; touch ${hidden}/x; ls /usr/bin/sh`] },
      AbortSignal.timeout(20_000),
    );
    expect(result.stdout).toBe('0\n/usr/bin/sh\n');
  });
});
