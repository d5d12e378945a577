import { expect } from 'vitest';
import { sandboxContract } from './sandbox.contract.js';
import { openSandbox } from './select.js';

sandboxContract('unshare', async (hidden) => {
  const sandbox = await openSandbox({ rung: 'unshare', hidden: [hidden], env: process.env });
  expect(sandbox.rung).toBe('unshare');
  return sandbox;
});
