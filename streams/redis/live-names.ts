// How live text lies in Redis: the names of its keys and channels, and its messages.
//
// A message is a JSON array of [attempt, seq, text] or [attempt, seq, text, 1] for the end of an attempt.
import type { LiveChunk } from '../live-text.js';

/** Text in a message, at most, in characters: the replay is cut by whole messages. A single longer chunk is a message of its own. */
const MESSAGE_CHARS = 4 * 1024;

export const channelOf = (prefix: string, taskId: string): string => `${prefix}live:${taskId}`;
/** The list of messages, and how many bytes they are; on one slot of a cluster. */
export const saidKey = (prefix: string, taskId: string): string => `${prefix}live:{${taskId}}:said`;
export const sizeKey = (prefix: string, taskId: string): string => `${prefix}live:{${taskId}}:size`;

export const encodeChunks = (chunks: readonly LiveChunk[]): string[] => {
  const messages: string[] = [];
  let rows: unknown[] = [];
  let chars = 0;
  for (const { attempt, seq, text, end } of chunks) {
    if (rows.length > 0 && chars + text.length > MESSAGE_CHARS) {
      messages.push(JSON.stringify(rows));
      rows = [];
      chars = 0;
    }
    rows.push(end === true ? [attempt, seq, text, 1] : [attempt, seq, text]);
    chars += text.length;
  }
  if (rows.length > 0) messages.push(JSON.stringify(rows));
  return messages;
};

/** Empty where the message is none of ours. */
export const decodeChunks = (message: string): LiveChunk[] => {
  let rows: unknown;
  try {
    rows = JSON.parse(message);
  } catch {
    return [];
  }
  if (!Array.isArray(rows)) return [];
  return rows.flatMap((row: unknown) => {
    if (!Array.isArray(row)) return [];
    const [attempt, seq, text, end] = row as unknown[];
    if (typeof attempt !== 'number' || typeof seq !== 'number' || typeof text !== 'string') return [];
    return [end === 1 ? { attempt, seq, text, end: true } : { attempt, seq, text }];
  });
};
