// Shows events as they come: names for tasks, lines or JSON, and one progress line at the foot of a terminal.
import type { DatsEvent } from '../schemas/index.js';
import type { FollowedEvent } from './client/index.js';
import { clip, eventLine, oneLine, openProgress, type Progress, shortId } from './render/index.js';
import type { Session } from './session.js';

export interface EventScreen {
  show(followed: FollowedEvent): void;
  /** A line between the events. */
  remark(line: string): void;
  /** Takes the progress line away. */
  close(): void;
  readonly progress: Progress;
  name(taskId: string, label: string): void;
}

const ERASE_LINE = '\r\u001b[K';

const titleOf = (text: string): string => oneLine(text.split('\n', 1)[0] ?? '');

export const openEventScreen = (session: Session, start?: number, labelWidth = 20): EventScreen => {
  const { io, colours } = session;
  const labels = new Map<string, string>();
  const progress = openProgress();
  let began = start;
  const live = io.tty && !session.json && !session.quiet;
  const foot = (): void => {
    if (live) io.out(ERASE_LINE + clip(colours.dim(progress.line()), io.columns - 1));
  };
  const line = (text: string): void => {
    if (session.json) return;
    io.out(`${live ? ERASE_LINE : ''}${text}\n`);
    foot();
  };
  const learn = (event: DatsEvent): void => {
    if (event.type === 'dats.task.decomposed')
      for (const child of event.data.children) if (!labels.has(child.task_id)) labels.set(child.task_id, titleOf(child.title));
    if (event.type === 'dats.task.created' && !labels.has(event.subject)) {
      const content = event.data.description.content;
      if (content !== undefined) labels.set(event.subject, titleOf(content));
    }
  };
  return {
    progress,
    name: (taskId, label) => labels.set(taskId, label),
    show: ({ event }) => {
      learn(event);
      progress.take(event);
      began ??= Date.parse(event.time);
      session.data(event);
      line(eventLine(event, { start: began, label: labels.get(event.subject) ?? shortId(event.subject), labelWidth, colours }));
    },
    remark: line,
    close: () => {
      if (live) io.out(ERASE_LINE);
    },
  };
};
