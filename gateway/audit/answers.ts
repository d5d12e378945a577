// What is answered about signed history, from the log alone.
import { bundleLines, checkpointsOf, openHistory, originOf, proveEvents, verifierOf, verifyHistory } from '../../processors/audit/index.js';
import type { AuditCheckpoints, AuditProof, AuditReport } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { refuse } from '../problem.js';
import type { AuditIdentity } from './access.js';
import { findEvents, type Wanted } from './find-events.js';

const unknown = (project: string) => refuse('project_not_found', `project ${project} has no event and no checkpoint`);

/** @throws Fault terminal `project_not_found` */
export const verifyProject = async (log: Log, { vkey }: AuditIdentity, project: string, signal: AbortSignal): Promise<AuditReport> => {
  const history = await openHistory(log, project, signal);
  const report = await verifyHistory({ project, events: history.events(), checkpoints: checkpointsOf(history), vkey });
  if (report.events === 0 && report.checkpoints.total === 0) throw unknown(project);
  return report;
};

/** @throws Fault `event_not_found`, `proof_pending`, `history_tampered` */
export const prove = async (log: Log, { vkey }: AuditIdentity, wanted: Wanted, signal: AbortSignal): Promise<AuditProof> => {
  const { project, events } = await findEvents(log, wanted, signal);
  // Read after the events were found, so that the newest checkpoint is the newest.
  const history = await openHistory(log, project, signal);
  return proveEvents({ project, events, checkpoints: checkpointsOf(history), vkey, artifactId: wanted.artifactId });
};

/** @param limit how many at most. @throws Fault terminal `project_not_found` */
export const listCheckpoints = async (
  log: Log,
  { vkey }: AuditIdentity,
  project: string,
  limit: number,
  signal: AbortSignal,
): Promise<AuditCheckpoints> => {
  const history = await openHistory(log, project, signal);
  let newest: AuditCheckpoints['checkpoints'] = [];
  for await (const { time, data } of history.checkpoints()) {
    const { size, root, note, leaves } = data;
    newest.push({ size, root, note, time, from: leaves[0]?.[0] ?? -1, to: leaves.at(-1)?.[0] ?? -1 });
    if (newest.length > 2 * limit) newest = newest.slice(-limit);
  }
  if (newest.length === 0 && (await isEmpty(history.events()))) throw unknown(project);
  return { vkey, origin: originOf(verifierOf(vkey), project), checkpoints: newest.slice(-limit).reverse() };
};

const isEmpty = async (items: AsyncIterable<unknown>): Promise<boolean> => {
  for await (const _ of items) return false;
  return true;
};

/** Bytes of the stream that are handed on at a time. */
const CHUNK_CHARS = 64 * 1024;

/** The bundle, as NDJSON. What fails on the way cuts it off: then its last line is not there. @param signal ends it */
export const bundleStream = async (
  log: Log,
  { vkey }: AuditIdentity,
  project: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> => {
  const gone = new AbortController();
  const history = await openHistory(log, project, AbortSignal.any([signal, gone.signal]));
  const head = { vkey, origin: originOf(verifierOf(vkey), project), project };
  const lines = bundleLines({ head, events: history.events(), checkpoints: checkpointsOf(history) });
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let text = '';
      while (text.length < CHUNK_CHARS) {
        const { done, value } = await lines.next();
        if (done) {
          if (text !== '') controller.enqueue(encoder.encode(text));
          return controller.close();
        }
        text += value;
      }
      controller.enqueue(encoder.encode(text));
    },
    async cancel(reason) {
      gone.abort(reason);
      await lines.return(undefined).catch(() => undefined);
    },
  });
};
