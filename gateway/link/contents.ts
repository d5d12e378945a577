// Contents that are too large for events: who copies an event has them too, before the event.
import { createHash } from 'node:crypto';
import { invalid } from '../problem.js';
import type { Services } from '../services.js';

export const missingContents = async ({ deps }: Services, digests: readonly string[]): Promise<string[]> => {
  const missing: string[] = [];
  for (const sha256 of new Set(digests))
    await deps.artifacts.get(sha256).catch(() => {
      missing.push(sha256);
    });
  return missing;
};

/** @throws Fault `validation_failed` when it is not what its digest says, `disk_full` */
export const keepContent = async ({ deps }: Services, sha256: string, base64: string): Promise<void> => {
  const bytes = Buffer.from(base64, 'base64');
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw invalid([{ path: ['base64'], message: 'its digest is not `sha256`' }]);
  await deps.artifacts.put(bytes);
};
