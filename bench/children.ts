// Processes that must not outlive the bench, however it ends.
import type { ChildProcess } from 'node:child_process';
import { killChild } from '../schemas/index.js';

/** Ends `child` when this process exits before it. */
export const endsWithUs = <T extends ChildProcess>(child: T): T => {
  const end = (): void => void killChild(child, 'SIGTERM');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
};
