// Is a history the one that was signed? Over events and checkpoints, wherever they come from: a log, the files of a bundle.
//
// V1. What counts is the root that the key signed. A list of leaves only helps to name what is wrong, and is trusted only where it leads to that root.
// V2. Where a list is wrong or not there, events that lead to the root themselves are right; it is the checkpoint then that was tampered with.
// V3. One checkpoint's worth of leaves is in memory where all is well. V4. Nothing that comes in makes it throw: what cannot be read is a problem.
import type { AuditCheckpoint, AuditProblem, AuditReport } from '../../schemas/index.js';
import { openAlignment, type SeenEvent } from './alignment.js';
import { extend, listed, newChain } from './chain.js';
import { type AuditEvent, leafOfEvent } from './leaf.js';
import { type Checkpoint, openNote, originOf, parseCheckpoint, type Verifier, verifierOf } from './note.js';

export interface History {
  readonly project: string;
  /** In the order of the log. */
  readonly events: Iterable<AuditEvent> | AsyncIterable<AuditEvent>;
  readonly checkpoints: Iterable<AuditCheckpoint> | AsyncIterable<AuditCheckpoint>;
  readonly vkey: string;
}

export const PROBLEMS_LIMIT = 1_000;

/** @throws Fault terminal `bad_vkey`; the error of an iterable that fails */
export const verifyHistory = async ({ project, events, checkpoints, vkey }: History): Promise<AuditReport> => {
  const verifier = verifierOf(vkey);
  const source = peekable(events);
  const alignment = openAlignment();
  const chain = newChain();
  let total = 0;
  let lastNote: string | undefined;
  for await (const checkpoint of checkpoints) {
    total++;
    const { signed, problems } = signedPart(checkpoint, project, verifier);
    chain.problems.push(...problems);
    if (signed === undefined) {
      if (problems[0]?.kind === 'bad_signature') chain.held.push(checkpoint);
      continue;
    }
    // The same one again proves the same again.
    if (checkpoint.note === lastNote) continue;
    lastNote = checkpoint.note;
    if (signed.size <= chain.tree.size) {
      chain.problems.push(backwards(signed.size, chain.tree.size));
      continue;
    }
    const list = listed(chain, checkpoint, signed.size);
    chain.held = [];
    const until = list.leaves.at(-1)?.offset ?? -1;
    for (let event = await source.peek(); event !== undefined; event = await source.peek()) {
      if (event.offset > until && source.taken >= signed.size) break;
      alignment.see(source.next());
    }
    extend(chain, alignment, list, signed);
    alignment.settle();
  }
  while ((await source.peek()) !== undefined) alignment.see(source.next());
  const { problems, uncovered } = alignment.end();
  const all = [...chain.problems, ...problems];
  return {
    project_id: project,
    ok: all.length === 0,
    events: source.taken,
    size: chain.newest?.size ?? 0,
    root: chain.newest?.root.toString('base64') ?? null,
    covered: alignment.covered,
    uncovered,
    checkpoints: { total, verified: chain.verified },
    vkey,
    problems: all.slice(0, PROBLEMS_LIMIT),
    problems_total: all.length,
  };
};

/** What the key signed of a checkpoint; nothing where it signed nothing, or something else. */
const signedPart = (
  checkpoint: AuditCheckpoint,
  project: string,
  verifier: Verifier,
): { readonly signed?: Checkpoint; readonly problems: readonly AuditProblem[] } => {
  const problem = (kind: AuditProblem['kind'], size: number, why: string): AuditProblem => ({
    kind,
    message: `checkpoint of ${size} leaves: ${why}`,
    checkpoint: size,
  });
  const text = openNote(checkpoint.note, verifier);
  const signed = text === undefined ? undefined : parseCheckpoint(text);
  if (signed === undefined)
    return { problems: [problem('bad_signature', checkpoint.size, `it has no valid signature of ${verifier.name}`)] };
  const origin = originOf(verifier, project);
  if (signed.origin !== origin || checkpoint.project_id !== project)
    return {
      problems: [
        problem('inconsistent_checkpoint', signed.size, `it is of ${signed.origin} and says ${checkpoint.project_id}, not of ${origin}`),
      ],
    };
  const says = checkpoint.size === signed.size && checkpoint.root === signed.root.toString('base64');
  return { signed, problems: says ? [] : [problem('bad_root', signed.size, 'its size or root is not that of its signed note')] };
};

const backwards = (size: number, covered: number): AuditProblem => ({
  kind: 'inconsistent_checkpoint',
  message: `checkpoint of ${size} leaves: it comes after one of ${covered}`,
  checkpoint: size,
});

/** The events, with a look at the next one. */
interface Source {
  peek(): Promise<SeenEvent | undefined>;
  /** The one that `peek` gave. */
  next(): SeenEvent;
  readonly taken: number;
}

const peekable = (events: History['events']): Source => {
  const iterator = Symbol.asyncIterator in events ? events[Symbol.asyncIterator]() : events[Symbol.iterator]();
  let ahead: SeenEvent | undefined;
  let taken = 0;
  return {
    async peek() {
      if (ahead !== undefined) return ahead;
      const { done, value } = await iterator.next();
      if (done) return undefined;
      const { id, type } = value.headers;
      ahead = { order: taken, offset: value.offset, hash: leafOfEvent(value).toString('base64'), id, type };
      return ahead;
    },
    next() {
      const event = ahead!;
      ahead = undefined;
      taken++;
      return event;
    },
    get taken() {
      return taken;
    },
  };
};
