// What is answered over HTTP when a project is folded again from its first event and compared with what is shown of it.
import { z } from 'zod';
import { projectIdSchema } from './task.js';

/** Differences that are named of each kind; all are counted. */
export const VERIFY_NAMED_LIMIT = 100;
/** Longest value of a difference, in characters; longer ones are cut around the first character that differs. */
export const VERIFY_VALUE_LIMIT = 200;

const offset = z.int().min(0);
const value = z.string().nullable();

/** `unlisted`: it is there, but lists do not find it. `changed`: it is there, and says something else. */
export const VIEW_DIFFERENCES = ['missing', 'extra', 'changed', 'unlisted'] as const;
export const viewDifferenceSchema = z.object({
  collection: z.enum(['task', 'artifact', 'project']),
  id: z.string(),
  what: z.enum(VIEW_DIFFERENCES),
  /** JSON Pointer of the first place that differs; of what is unlisted, the key under which it should be. */
  place: value,
  /** What the fold has there, and what the view store has; JSON. Null: nothing. */
  expected: value,
  found: value,
  /** Version of the document: the offset of its newest event, plus 1. */
  expected_version: z.int().nullable(),
  found_version: z.int().nullable(),
});
export type ViewDifference = z.infer<typeof viewDifferenceSchema>;

/** `extra`: no record of the log makes that row. `doubled`: it is there more than once. */
export const ROW_DIFFERENCES = ['missing', 'extra', 'doubled', 'changed'] as const;
export const rowDifferenceSchema = z.object({
  partition: z.int().min(0),
  offset,
  type: z.string(),
  what: z.enum(ROW_DIFFERENCES),
  /** Of what is changed. */
  column: value,
  expected: value,
  found: value,
});
export type RowDifference = z.infer<typeof rowDifferenceSchema>;

/** Rows (or what they count) of a table that is made of the events, for this project. */
export const tableCountSchema = z.object({ table: z.string(), expected: z.int(), found: z.int() });
export type TableCount = z.infer<typeof tableCountSchema>;

export const verifiedViewsSchema = z.object({
  /** Documents that were compared. */
  documents: z.int().min(0),
  /** Every event below this offset was in the comparison. */
  up_to: offset,
  /** All differences; the first are named. */
  differences: z.int().min(0),
  different: z.array(viewDifferenceSchema).max(VERIFY_NAMED_LIMIT),
  /** Why they were not compared; null: they were. */
  why_not: value,
});
export type VerifiedViews = z.infer<typeof verifiedViewsSchema>;

export const VERIFIED_HISTORY_STATES = ['compared', 'off', 'unavailable'] as const;
export const verifiedHistorySchema = z.object({
  /** `off`: none is kept here. `unavailable`: it is kept, and could not be asked. */
  state: z.enum(VERIFIED_HISTORY_STATES),
  /** Why it was not compared; null: it was. */
  why_not: value,
  /** Records whose rows were compared. */
  rows: z.int().min(0),
  /** Every record below this offset was in the comparison: history may be behind the log. */
  up_to: offset,
  differences: z.int().min(0),
  different: z.array(rowDifferenceSchema).max(VERIFY_NAMED_LIMIT),
  /** Of every table that was compared. */
  tables: z.array(tableCountSchema),
  /** What was not compared, in words. */
  not_compared: z.array(z.string()),
});
export type VerifiedHistory = z.infer<typeof verifiedHistorySchema>;

export const verifyReportSchema = z.object({
  /** All that is kept here was compared, and nothing differs. */
  ok: z.boolean(),
  project_id: projectIdSchema,
  /** Of the lifecycle topic. */
  partition: z.int().min(0),
  /** Events of the project that were folded. */
  events: z.int().min(0),
  /** Offsets of the first and the last of them; null: there are none. */
  from: offset.nullable(),
  to: offset.nullable(),
  views: verifiedViewsSchema,
  history: verifiedHistorySchema,
  took_ms: z.number().min(0),
  /** Speed of the fold, without the comparisons. */
  events_per_second: z.int().min(0),
});
export type VerifyReport = z.infer<typeof verifyReportSchema>;
