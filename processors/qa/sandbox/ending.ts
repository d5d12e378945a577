// Which limit ended a run. A kill knows why it killed; the limits that the kernel keeps show only in how the code failed.
import type { SandboxResult } from './sandbox.js';

export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  readonly killedFor: SandboxResult['limit'] | undefined;
  /** Most tasks seen at once, launcher included. */
  readonly peakTasks: number;
  readonly processes: number;
}

/** How the runtimes word what the kernel refused. Read from the end of stderr only: that is where the fatal one stands. */
const TAIL_CHARACTERS = 4_000;
const SYMPTOMS: readonly (readonly [NonNullable<SandboxResult['limit']>, RegExp])[] = [
  [
    'memory',
    /\bMemoryError\b|heap out of memory|Array buffer allocation failed|bad_alloc|Cannot allocate memory|\bENOMEM\b|Fatal process out of memory/,
  ],
  ['disk', /No space left on device|\bENOSPC\b|File too large|\bEFBIG\b/],
  ['processes', /BlockingIOError|Resource temporarily unavailable|can't start new thread|\bEAGAIN\b|uv_thread_create/],
];

export function limitOf(ending: Ending): SandboxResult['limit'] {
  if (ending.killedFor === 'timeout' && ending.peakTasks >= ending.processes) return 'processes';
  if (ending.killedFor) return ending.killedFor;
  if (ending.code === 0) return null;
  if (ending.signal === 'SIGXFSZ') return 'disk';
  const tail = ending.stderr.slice(-TAIL_CHARACTERS);
  return SYMPTOMS.find(([, pattern]) => pattern.test(tail))?.[0] ?? null;
}
