// Counts tasks by where they stand, from events alone: the progress line of `watch`, `batch` and the demo.
import type { DatsEvent } from '../../schemas/index.js';

type Stand = 'open' | 'running' | 'completed' | 'failed' | 'cancelled';
const STANDS: Readonly<Record<string, Stand>> = {
  'dats.task.created': 'open',
  'dats.task.queued': 'open',
  'dats.task.started': 'running',
  'dats.task.retry.scheduled': 'open',
  'dats.task.completed': 'completed',
  'dats.task.failed': 'failed',
  'dats.task.cancelled': 'cancelled',
};

export interface Progress {
  /** Takes an event in; returns true when a count changed. */
  take(event: Pick<DatsEvent, 'type' | 'subject'>): boolean;
  count(stand: Stand): number;
  total(): number;
  line(): string;
}

export const openProgress = (): Progress => {
  const stands = new Map<string, Stand>();
  const counts: Record<Stand, number> = { open: 0, running: 0, completed: 0, failed: 0, cancelled: 0 };
  const count = (stand: Stand): number => counts[stand];
  return {
    take: ({ type, subject }) => {
      const stand = STANDS[type];
      const before = stands.get(subject);
      if (stand === undefined || stand === before || before === 'completed' || before === 'failed' || before === 'cancelled') return false;
      stands.set(subject, stand);
      counts[stand]++;
      if (before !== undefined) counts[before]--;
      return true;
    },
    count,
    total: () => stands.size,
    line: () => {
      const ended = count('completed') + count('failed') + count('cancelled');
      const parts = [`${ended}/${stands.size} ended`, `${count('running')} running`, `${count('completed')} completed`];
      if (count('failed') > 0) parts.push(`${count('failed')} failed`);
      if (count('cancelled') > 0) parts.push(`${count('cancelled')} cancelled`);
      return parts.join(', ');
    },
  };
};
