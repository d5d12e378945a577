// Runs cascades and rollbacks over one owned partition of the lifecycle topic: read, fold, decide, commit what follows together with the offset, again.
//
// R1. There is no state but the fold of the log (project.ts, F1): what is decided here is taken in when it comes back. So the next step waits until all that was said
// before has come back; after a restart, until everything is read that an earlier owner may have said. R2. Outputs and offset are one commit: an event is answered once.
// R5. A project whose next piece cannot be made is set aside until the next start, and said to be so; the others go on.
// R3. Without outputs the offset is committed every COMMIT_MS: reading some of it again changes nothing. R4. A commit that fails for want of room or connection is tried again, and so is the beginning.
import { type DatsEvent, derivedId, type Fault, isFault, LIFECYCLE, type Position, toFault } from '../../schemas/index.js';
import { type Assignment, type Log, type Outgoing, outgoing, type Recorded, type ViewStore } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';
import { type Draft, inChain, say } from '../draft.js';
import { race, type Step, stamp } from '../host/index.js';
import { isoOf } from '../iso-time.js';
import type { Homes } from '../link/index.js';
import { decide, decideLeft, isQuiet, nextStep, step } from './decide.js';
import type { CascadePolicy } from './policy.js';
import type { Asked } from './rollback-step.js';
import { loadWorld, type PartitionWorld, type Snapshots } from './world.js';

export const CASCADE_SOURCE = '/deciders/cascade';
const ACTOR = 'cascade';
const COMMIT_MS = 5_000;
const MAX_BATCH = 2_048;
/** About: the piece of a project is not cut. */
const OUTPUTS_A_COMMIT = 2_000;

export interface CascadeRun {
  readonly log: Pick<Log, 'read' | 'range'>;
  readonly views: ViewStore;
  readonly policy: CascadePolicy;
  /** Default: there is one node. Of projects of others, what their home says is taken in, and nothing is said (moves.ts). */
  readonly homes?: Pick<Homes, 'self' | 'homeOf'>;
  readonly configVersion: () => string;
  readonly now: () => number;
  readonly onProblem: (fault: Fault) => void;
}

/** What a run begins with: the partition as it was committed, and where it ended when it became ours. */
interface Beginning extends Awaited<ReturnType<typeof loadWorld>> {
  readonly end: number;
}

/** R4: a log that is away is waited for. Undefined: the partition is to be given up before that. */
const begin = async (
  { partition, revoked, committed }: Assignment,
  { log, views, homes, onProblem }: CascadeRun,
): Promise<Beginning | undefined> => {
  let begun: Beginning | undefined;
  const load = async (): Promise<void> => {
    // R1. The partition is ours: nobody else says anything as this group any more.
    const { end } = await log.range(LIFECYCLE, partition);
    const options = { log, views, partition, until: committed, signal: revoked, writes: true, ...(homes === undefined ? {} : { homes }) };
    begun = { ...(await loadWorld(options)), end };
  };
  await untilDone(load, { revoked, onTrouble: onProblem }).catch((error: unknown) => {
    if (!revoked.aborted) throw error;
  });
  return begun;
};

/** Runs until the partition is revoked. @throws Fault fatal when the store cannot go on. */
export const runCascades = async (assignment: Assignment, run: CascadeRun): Promise<void> => {
  const { revoked } = assignment;
  const begun = await begin(assignment, run);
  if (begun === undefined) return;
  const over = new AbortController();
  const batches = assignment.records({ maxBatch: MAX_BATCH, signal: over.signal })[Symbol.asyncIterator]();
  const steps = race(batches, run.now);
  try {
    await follow(assignment, run, begun, { next: (due) => steps.next(due), end: begun.end });
  } catch (error) {
    if (isFault(error, 'fenced') || (revoked.aborted && !isFault(error, 'fatal'))) return;
    throw error;
  } finally {
    steps.stop();
    // A read that waits for a record would hold up the return.
    over.abort();
    await batches.return?.();
  }
};

interface Source {
  next(due: number | undefined): Promise<Step>;
  /** Where the partition ended when it became ours. */
  readonly end: number;
}

const follow = async (
  assignment: Assignment,
  run: CascadeRun,
  { world, snapshots }: Awaited<ReturnType<typeof loadWorld>>,
  source: Source,
): Promise<void> => {
  const { revoked } = assignment;
  /** Until everything below is read, what was said has not come back. */
  let saidBelow = source.end;
  let next = assignment.committed;
  let committed = next;
  let committedMs = run.now();
  const asked: Asked = new Map();

  const dueOf = (): number | undefined => {
    let due = committed < next ? committedMs + COMMIT_MS : undefined;
    if (next < saidBelow) return due;
    const now = run.now();
    if (released(world).length > 0) return now;
    for (const project of world.busy) {
      if (!world.moves.isHere(project.id)) continue;
      const at = nextStep(project, now, asked, world.moves.endOf(project.id));
      if (at !== undefined && (due === undefined || at < due)) due = at;
    }
    return due;
  };
  const commit = async (outputs: readonly Outgoing[]): Promise<void> => {
    let positions: readonly Position[] = [];
    const act = async (): Promise<void> => {
      positions = await assignment.commit({ next, outputs, states: new Map() });
    };
    await untilDone(act, { revoked, onTrouble: run.onProblem });
    if (revoked.aborted) return;
    committed = next;
    committedMs = run.now();
    for (const { topic, partition, offset } of positions)
      if (topic === LIFECYCLE && partition === assignment.partition) saidBelow = Math.max(saidBelow, offset + 1);
    await snapshots.write(next);
  };

  for (;;) {
    const came = await source.next(dueOf());
    if (came.kind === 'end') break;
    const outputs: Outgoing[] = [];
    if (came.kind === 'records') {
      for (const record of came.records) for (const answer of answersTo(world, record, run, snapshots)) outputs.push(answer);
      next = came.records.at(-1)!.offset + 1;
      world.passTo(next);
    }
    if (next >= saidBelow) for (const output of goOn(world, run, asked)) outputs.push(output);
    if (outputs.length > 0 || (committed < next && run.now() - committedMs >= COMMIT_MS)) await commit(outputs);
  }
  if (committed < next) await assignment.commit({ next, outputs: [], states: new Map() });
};

const answersTo = (world: PartitionWorld, record: Recorded, run: CascadeRun, snapshots: Snapshots): readonly Outgoing[] => {
  const taken = world.take(record);
  if (taken === undefined) return [];
  snapshots.keep(taken, record.offset);
  const { project, event, isCopy, left } = taken;
  const drafts = isCopy || !world.moves.answers(project.id) ? [] : decide(project, event, run.policy);
  return [...drafts, ...decideLeft(project, left, run.policy)].map((draft) => toRecord(draft, run, run.now(), event));
};

/** Projects that are about to leave, and can as far as cascades are concerned. */
const released = ({ moves, projects }: PartitionWorld): readonly Draft[] =>
  [...moves.leaving].flatMap(([project_id, { at, to, id, correlationid }]) =>
    isQuiet(projects.get(project_id), at)
      ? [
          inChain(
            { projectid: project_id, correlationid },
            say('dats.project.released', project_id, { project_id, to }, derivedId(id, 'released')),
          ),
        ]
      : [],
  );

/** The next piece of what is under way, project after project, until it is enough for one commit: who had no turn is first the next time. */
const goOn = (world: PartitionWorld, run: CascadeRun, asked: Asked): readonly Outgoing[] => {
  const now = run.now();
  const outputs = released(world).map((draft) => toRecord(draft, run, now));
  for (const project of [...world.busy]) {
    if (outputs.length >= OUTPUTS_A_COMMIT) break;
    if (!world.moves.isHere(project.id)) continue;
    try {
      for (const draft of step(project, now, run.policy, asked, world.moves.endOf(project.id))) outputs.push(toRecord(draft, run, now));
      world.turnOver(project);
    } catch (error) {
      world.setAside(project);
      run.onProblem(toFault(error));
    }
  }
  return outputs;
};

const toRecord = (draft: Draft, run: CascadeRun, now: number, cause?: DatsEvent): Outgoing => {
  const event = stamp(draft, { source: CASCADE_SOURCE, actor: ACTOR, configversion: run.configVersion(), time: isoOf(now), cause });
  return outgoing(draft.topic, event, draft.key ?? event.projectid);
};
