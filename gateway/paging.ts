// Pages of tasks, newest first, over the view store's indexes.
//
// L1. One request looks at SCAN_LIMIT documents at most: a filter that matches little gives a short page and a cursor that goes on from there.
// L2. A cursor names a place in the index, so that new tasks do not shift pages.

import { z } from 'zod';
import { shownTask, type TaskDoc } from '../processors/index.js';
import { STATES, STATUSES, type TaskView } from '../schemas/index.js';
import type { ViewStore } from '../streams/index.js';
import { refuse } from './problem.js';

/** Documents looked at in one request. */
export const SCAN_LIMIT = 2_000;
const READ_BATCH = 200;
export const PAGE_LIMIT = 1_000;
export const OFFSET_LIMIT = 10_000;

export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT).default(50).meta({ description: 'Items a page.' }),
  cursor: z.string().min(1).max(1_024).optional().meta({ description: 'From `next_cursor` or `Link: rel="next"` of the page before.' }),
  offset: z.coerce.number().int().min(0).max(OFFSET_LIMIT).default(0).meta({ description: 'Matching items to skip; prefer `cursor`.' }),
};

export const taskQuerySchema = z.strictObject({
  project_id: z.string().min(1).max(128).optional(),
  parent_id: z.string().min(1).max(64).optional(),
  status: z.enum(STATUSES).optional(),
  state: z.enum(STATES).optional(),
  since: z.iso.datetime({ offset: true }).optional().meta({ description: 'Created at this instant or later, RFC 3339.' }),
  ...pageQuery,
});
export type TaskQuery = z.infer<typeof taskQuerySchema>;

/** Where to go on: the index key that was looked at last, and matching items still to be skipped. */
const cursorSchema = z.tuple([z.string().max(700), z.int().min(0).max(OFFSET_LIMIT)]);

export const encodeCursor = (after: string, skip: number): string => Buffer.from(JSON.stringify([after, skip])).toString('base64url');
export const decodeCursor = (cursor: string): { after: string; skip: number } => {
  try {
    const [after, skip] = cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    return { after, skip };
  } catch {
    throw refuse(
      'invalid_parameter',
      'the cursor is not one of ours; begin again without it',
      new z.ZodError([{ code: 'custom', path: ['cursor'], message: 'is not one of ours', input: cursor }]),
    );
  }
};

export interface Page {
  readonly tasks: readonly TaskView[];
  /** null at the end. */
  readonly next: string | null;
}

const prefixOf = (query: TaskQuery): string => {
  if (query.parent_id !== undefined) return `parent/${query.parent_id}/`;
  return query.project_id === undefined ? 'all/' : `project/${query.project_id}/`;
};

const accepts = (query: TaskQuery, view: TaskView, since: string | undefined): boolean =>
  (query.project_id === undefined || view.project_id === query.project_id) &&
  (query.parent_id === undefined || view.parent_id === query.parent_id) &&
  (query.status === undefined || view.status === query.status) &&
  (query.state === undefined || view.state === query.state) &&
  (since === undefined || view.created_at >= since);

export const listTasks = async (views: ViewStore, query: TaskQuery): Promise<Page> => {
  const prefix = prefixOf(query);
  const start = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  const since = query.since === undefined ? undefined : new Date(query.since).toISOString();
  let after = start?.after;
  let skip = start?.skip ?? query.offset;
  let scanned = 0;
  const tasks: TaskView[] = [];
  while (scanned < SCAN_LIMIT) {
    const batch = Math.min(READ_BATCH, SCAN_LIMIT - scanned, Math.max(query.limit + 1, 20));
    const entries = await views.list('task', prefix, { ...(after === undefined ? {} : { after }), limit: batch, reverse: true });
    const found = await Promise.all(entries.map(({ id }) => views.get<TaskDoc>('task', id)));
    for (const [i, { key }] of entries.entries()) {
      scanned++;
      const view = found[i];
      // Newest first: what follows an older one is older still.
      if (view !== undefined && since !== undefined && view.created_at < since) return { tasks, next: null };
      if (view !== undefined && accepts(query, view, since)) {
        if (skip > 0) skip--;
        else if (tasks.length === query.limit) return { tasks, next: encodeCursor(after!, 0) };
        else tasks.push(shownTask(view));
      }
      after = key;
    }
    if (entries.length < batch) return { tasks, next: null };
  }
  return { tasks, next: after === undefined ? null : encodeCursor(after, skip) };
};

/** The value of a `Link` header to the next page. */
export const nextLink = (target: string, cursor: string): string => {
  const [path, search] = target.split('?', 2);
  const params = new URLSearchParams(search);
  params.delete('offset');
  params.set('cursor', cursor);
  return `<${path}?${params}>; rel="next"`;
};
