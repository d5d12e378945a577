// Audit of a project: folded again from its first event, and compared with what is shown of it: the view store to the byte, history row by row.
//
// V1. The log is the truth: nothing is read of what is compared that the fold then rests on. V2. It only reads, so it may run beside everything else, as often as one likes.
// V3. What could not be compared is said, and is not ok; what an installation does not keep is said, and is.
import {
  isFault,
  LIFECYCLE,
  partitionOf,
  type RowDifference,
  type VerifiedHistory,
  type VerifiedViews,
  type VerifyReport,
} from '../../../schemas/index.js';
import type { Analytics, Log, ViewStore } from '../../../streams/index.js';
import { compareRows, historyReach, type RowSources } from './compare-rows.js';
import { compareTables, openTally } from './compare-tables.js';
import { compareViews } from './compare-views.js';
import { openFindings } from './findings.js';
import { openPace, type Pace } from './pace.js';
import { openProjectFold, type ProjectFold } from './project-fold.js';
import type { ProjectPlace } from './project-records.js';

/** The group that brings history, as a node names it. */
export const HISTORY_GROUP = 'history';

export interface VerifySources {
  readonly log: Log;
  readonly views: ViewStore;
  /** Absent: no history is kept. */
  readonly analytics?: Analytics | undefined;
  /** Default HISTORY_GROUP. */
  readonly historyGroup?: string;
}

interface Verification {
  readonly sources: VerifySources;
  readonly place: ProjectPlace;
  /** The first offset of the partition. */
  readonly begin: number;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

const shortened = (begin: number): string =>
  `the log begins at offset ${begin} of this partition: what was before is gone, so nothing can be folded from the first event`;

const viewsOf = async ({ sources, place, begin, pace }: Verification, fold: ProjectFold): Promise<VerifiedViews> => {
  const none = { documents: 0, up_to: fold.upTo, differences: 0, different: [] };
  if (begin > 0) return { ...none, why_not: shortened(begin) };
  try {
    const { documents, upTo, differences } = await compareViews({ ...sources, fold, place, pace });
    const findings = openFindings<VerifiedViews['different'][number]>();
    for (const difference of differences.values()) findings.add(difference);
    return { documents, up_to: upTo, differences: findings.count, different: [...findings.named], why_not: null };
  } catch (error) {
    if (isFault(error) && error.code === 'verify_too_large') return { ...none, why_not: error.message };
    throw error;
  }
};

/** Faults of a history that is there, and does not answer now. */
const AWAY: ReadonlySet<string> = new Set(['analytics_unavailable', 'analytics_missing', 'no_engine']);

const historyOf = async ({ sources, place, begin, pace, signal }: Verification): Promise<VerifiedHistory> => {
  const none = { rows: 0, up_to: 0, differences: 0, different: [], tables: [], not_compared: [] };
  const { log, analytics, historyGroup: group = HISTORY_GROUP } = sources;
  if (analytics === undefined) return { ...none, state: 'off', why_not: 'no history is kept here' };
  if (begin > 0) return { ...none, state: 'unavailable', why_not: shortened(begin) };
  const rowSources: RowSources = { log, analytics, group, place, pace, signal };
  try {
    const reach = await historyReach(rowSources);
    const findings = openFindings<RowDifference>();
    const tally = openTally();
    const rows = await compareRows(rowSources, { from: begin, reach }, findings, tally.take);
    const { tables, notCompared } = await compareTables(rowSources, reach, tally);
    const wrong = tables.filter(({ expected, found }) => expected !== found).length;
    return {
      state: 'compared',
      why_not: null,
      rows,
      up_to: reach,
      differences: findings.count + wrong,
      different: [...findings.named],
      tables: [...tables],
      not_compared: [...notCompared],
    };
  } catch (error) {
    if (isFault(error) && AWAY.has(error.code)) return { ...none, state: 'unavailable', why_not: error.message };
    throw error;
  }
};

const isWell = (views: VerifiedViews, history: VerifiedHistory): boolean =>
  views.why_not === null && history.state !== 'unavailable' && views.differences + history.differences === 0;

/**
 * @throws Fault as the log and the view store; retryable `views_behind` when the views are emptied meanwhile; the signal's reason
 */
export const verifyProject = async (sources: VerifySources, projectId: string, signal: AbortSignal): Promise<VerifyReport> => {
  const began = performance.now();
  const { log } = sources;
  const place = { projectId, partition: partitionOf(projectId, log.partitions(LIFECYCLE)) };
  const { first } = await log.range(LIFECYCLE, place.partition);
  const pace = openPace(signal);
  const verification: Verification = { sources, place, begin: first, pace, signal };
  const fold = openProjectFold(log, place, first, { pace, signal });
  const views = await viewsOf(verification, fold);
  const history = await historyOf(verification);
  return {
    ok: isWell(views, history),
    project_id: projectId,
    partition: place.partition,
    events: fold.events,
    from: fold.first ?? null,
    to: fold.last ?? null,
    views,
    history,
    took_ms: Math.round(performance.now() - began),
    events_per_second: fold.tookMs === 0 ? 0 : Math.round((fold.events / fold.tookMs) * 1_000),
  };
};
