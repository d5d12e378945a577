// How artifacts stand now: what was said about them last.
import { TAINTS, type Taint } from '../../schemas/index.js';
import type { Analytics } from '../../streams/index.js';
import { textList } from './sql-text.js';

/** Ids in one question. */
const BATCH = 1_000;

const taintOf = (text: string): Taint => TAINTS.find((taint) => taint === text) ?? 'clean';

/** The worst of them; of none, clean. */
export const worstOf = (taints: Iterable<Taint>): Taint => TAINTS[Math.max(0, ...[...taints].map((taint) => TAINTS.indexOf(taint)))]!;

/** Those of the artifacts that are not clean. @throws as `Analytics.query` */
export const taintsOf = async (analytics: Analytics, ids: readonly string[]): Promise<ReadonlyMap<string, Taint>> => {
  const found = new Map<string, Taint>();
  for (let start = 0; start < ids.length; start += BATCH) {
    const batch = textList(ids.slice(start, start + BATCH));
    const rows = await analytics.query<{ id: string; taint: string }>(
      `SELECT artifact_id AS id, taint FROM dats.tainted WHERE artifact_id IN ${batch}`,
    );
    for (const { id, taint } of rows) found.set(id, taintOf(taint));
  }
  return found;
};
