import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { sandboxContract } from './sandbox.contract.js';
import { openSandbox } from './select.js';

function installed(): boolean {
  try {
    execFileSync('bwrap', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

if (installed()) {
  sandboxContract('bubblewrap', async (hidden) => {
    const sandbox = await openSandbox({ rung: 'bubblewrap', hidden: [hidden], env: process.env });
    expect(sandbox.rung).toBe('bubblewrap');
    return sandbox;
  });
} else {
  describe('bubblewrap is NOT TESTED: bwrap is not installed here (apt-get install bubblewrap)', () => {
    it('is refused by name, with what to install', async () => {
      const sandbox = await openSandbox({ rung: 'bubblewrap', hidden: [], env: process.env });
      expect(sandbox.rung).toBe('none');
      const run = sandbox.run(
        {
          command: ['node', '--version'],
          files: [],
          limits: { timeout_ms: 1, memory_bytes: 1, processes: 1, output_bytes: 1, disk_bytes: 1 },
        },
        AbortSignal.timeout(1_000),
      );
      await expect(run).rejects.toThrow(/apt-get install bubblewrap/);
    });
  });
}
