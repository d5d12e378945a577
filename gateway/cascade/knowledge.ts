// What this gateway knows of projects: their artifacts, cascades and rollbacks, folded from the log as the deciders fold them (processors/cascade).
//
// K1. A partition is read when somebody first asks about it, and from then on only when somebody asks: nothing follows in the background. K2. Whoever asks sees everything
// that was acknowledged before it asked. K3. One reading at a time a partition, whoever asks; its end is looked at anew by each who waited. K4. A reading that
// fails leaves what there is, and the next question goes on from it. A reading goes on when nobody waits any more. K5. No piece of work holds up others for long.
// K6. What is given out is alive: use it before you wait for anything else.
import { setImmediate as turn } from 'node:timers/promises';
import { loadWorld, type PartitionWorld, type Project } from '../../processors/cascade/index.js';
import { type Fault, LIFECYCLE, partitionOf } from '../../schemas/index.js';
import { within } from '../deadline.js';
import type { GatewayDeps } from '../deps.js';
import { type ProblemCode, READ_PROBLEMS, refuse } from '../problem.js';
import type { Services } from '../services.js';

/** How long a request waits for what it asks of history, milliseconds: below the 30 s that clients wait. */
export const HISTORY_MS = 25_000;
/** Records taken in without a break. */
const BATCH = 128;

/** What a route that asks this can answer besides its own problems. */
export const KNOWLEDGE_PROBLEMS = [...READ_PROBLEMS, 'history_loading'] as const satisfies readonly ProblemCode[];

export interface Knowledge {
  /** Undefined: it has no task. @throws Fault of the log. So do the others. */
  project(id: string): Promise<Project | undefined>;
  /** Every project there is. */
  all(): Promise<readonly Project[]>;
  /** The project of a cascade or rollback; undefined: there is none such. */
  projectOf(kind: 'cascades' | 'rollbacks', id: string): Promise<Project | undefined>;
  /** Why there is no answer after `ms` milliseconds: for `within`. */
  late(ms: number): Fault;
}

type Sources = Pick<GatewayDeps, 'log' | 'views'>;

interface Partition {
  /** With everything that was acknowledged before. */
  now(): Promise<PartitionWorld>;
  /** While it is read for the first time: how far that is. */
  loading(): { readonly next: number; readonly end: number } | undefined;
}

const openPartition = ({ log, views }: Sources, partition: number, closing: AbortSignal): Partition => {
  let world: PartitionWorld | undefined;
  let reading: Promise<void> | undefined;
  let loading: { next: number; end: number } | undefined;

  const load = async (end: number): Promise<void> => {
    const progress = { next: 0, end };
    loading = progress;
    try {
      const onward = async (next: number): Promise<void> => {
        progress.next = next;
        await turn();
      };
      const loaded = await loadWorld({ log, views, partition, until: end, signal: closing, writes: false, onward });
      world = loaded.world;
    } finally {
      loading = undefined;
    }
  };
  const catchUp = async (known: PartitionWorld, end: number): Promise<void> => {
    const { next: offset } = known;
    for await (const records of log.read({ topic: LIFECYCLE, partition, offset }, closing, { until: end, maxBatch: BATCH })) {
      for (const record of records) known.take(record);
      known.passTo(records.at(-1)!.offset + 1);
      if (known.next < end) await turn();
    }
    closing.throwIfAborted();
    known.passTo(end);
  };
  return {
    now: async () => {
      const { end } = await log.range(LIFECYCLE, partition);
      // K3.
      for (;;) {
        if (world !== undefined && world.next >= end) return world;
        reading ??= (world === undefined ? load(end) : catchUp(world, end)).finally(() => {
          reading = undefined;
        });
        await reading;
      }
    },
    loading: () => loading,
  };
};

export const createKnowledge = (sources: Sources, closing: AbortSignal): Knowledge => {
  const count = sources.log.partitions(LIFECYCLE);
  const partitions = Array.from({ length: count }, (_, partition) => openPartition(sources, partition, closing));
  /** Project of a cascade or rollback that was found before. */
  const homes = new Map<string, string>();

  const project: Knowledge['project'] = async (id) => (await partitions[partitionOf(id, count)]!.now()).projects.get(id);
  const all: Knowledge['all'] = async () => {
    const worlds = await Promise.all(partitions.map((partition) => partition.now()));
    return worlds.flatMap(({ projects }) => [...projects.values()]);
  };
  return {
    project,
    all,
    projectOf: async (kind, id) => {
      const home = homes.get(`${kind}/${id}`);
      if (home !== undefined) return project(home);
      const found = (await all()).find((one) => one[kind].has(id));
      if (found !== undefined) homes.set(`${kind}/${id}`, found.id);
      return found;
    },
    late: (ms) => {
      const seconds = `${Math.round(ms / 100) / 10} s`;
      const reading = partitions.flatMap((partition) => partition.loading() ?? []);
      if (reading.length === 0)
        return refuse(
          'unavailable',
          `the log or the view store did not answer within ${seconds}; what was asked may be done all the same: look before you ask again, or repeat it with the same Idempotency-Key`,
        );
      const sum = (of: 'next' | 'end'): number => reading.reduce((total, one) => total + one[of], 0);
      return refuse('history_loading', `still reading the history, ${sum('next')} of ${sum('end')} records; it goes on, try again`);
    },
  };
};

/** One time limit around what asks history. `signal` aborts when it is over, or the gateway closes. @throws Fault as `Knowledge.late` says, `log_closed`, or as `work`. */
export const inHistory = async <T>(
  { knowledge, historyMs, closing }: Pick<Services, 'knowledge' | 'historyMs' | 'closing'>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const over = new AbortController();
  try {
    return await within(work(AbortSignal.any([over.signal, closing])), historyMs, knowledge.late);
  } catch (error) {
    if (closing.aborted) throw refuse('log_closed', 'this process is ending; try again at once', error);
    throw error;
  } finally {
    over.abort();
  }
};
