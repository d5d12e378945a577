// Nodes: who they are, and what one node is told by another.
//
// N1. A node's sequence is the offset in its own log: a place is (node, epoch, topic, partition, offset), and nothing else is counted. N2. An epoch is one life of
// a node's store: a store that was made anew begins a new one, so that its offsets are never taken for those of the old.
import { z } from 'zod';
import { projectIdSchema } from './task.js';
import { type Position, parsePosition, TOPICS, type Topic } from './topics.js';

/** Ids of nodes; no slash, as they stand in paths. */
export const nodeIdSchema = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits and . _ -');

const storeIdSchema = z.string().min(8).max(64);
const epochSchema = z.int().min(1);
const topicSchema = z.enum(TOPICS as readonly [Topic, ...Topic[]]);

/** A store begins: the first word of a node in its own log. The event's id is the id of the store. */
export const nodeCreated = z.object({ node_id: nodeIdSchema });

/** What a node can do, as it says itself. */
export const nodeAbilitiesSchema = z.object({
  version: z.string().max(64),
  roles: z.string().max(256),
  models: z.array(z.object({ id: z.string().max(128), runner: z.string().max(32), tiers: z.array(z.string().max(16)).max(8) })).max(256),
  /** Work items of a lane at a time. */
  slots: z.record(z.string().max(16), z.int().min(0)),
  /** Patterns of the projects whose home it is from the beginning. */
  projects: z.array(z.string().max(128)).max(256),
});
export type NodeAbilities = z.infer<typeof nodeAbilitiesSchema>;

/** A node came, or came back. What it can do is what it said then. */
export const nodeRegistered = nodeAbilitiesSchema.extend({
  node_id: nodeIdSchema,
  store_id: storeIdSchema,
  epoch: epochSchema,
  /** With a new epoch: what is here of the epochs before, and its new store does not have. */
  missing: z.array(z.object({ epoch: epochSchema, topic: topicSchema, partition: z.int().min(0), records: z.int().min(0) })).optional(),
});

/** A node asks to be taken in. */
export const nodeJoined = nodeAbilitiesSchema.extend({
  node_id: nodeIdSchema,
  store_id: storeIdSchema,
  /** The store that this one was, until it lost its newest records (it was restored from a backup): what is older is the same in both. */
  continues: z.object({ store_id: storeIdSchema, ends: z.record(z.string().max(64), z.int().min(0)) }).optional(),
});

/** Three beats of a node were missed: nothing was heard of it since. It may be cut off and work on. */
export const nodeLost = z.object({
  node_id: nodeIdSchema,
  epoch: epochSchema,
  /** When it was last heard of, by the core's clock; absent: not since the core began to listen. */
  last_seen: z.iso.datetime().optional(),
  /** It had been drained: nothing of its work waits. */
  drained: z.boolean(),
});

/** A node that was lost is heard of again. */
export const nodeReturned = z.object({ node_id: nodeIdSchema, epoch: epochSchema });

const nodeCommand = z.object({
  node_id: nodeIdSchema,
  by: z.string().min(1).max(128),
  reason: z.string().max(1_000).optional(),
});

/** A node is to take no new work. What runs goes on. */
export const nodeCordoned = nodeCommand.extend({
  /** It is to be stopped: it says so (`dats.node.drained`) when nothing runs any more and the core has everything. */
  drain: z.boolean().optional(),
});
export const nodeUncordoned = nodeCommand;

/** Nothing runs on a node that was to be drained, and the core has all of its log: its processes can be stopped. */
export const nodeDrained = z.object({ node_id: nodeIdSchema });

/** Somebody wants a project to be decided on another node. */
export const projectMoveRequested = z.object({
  project_id: projectIdSchema,
  to: nodeIdSchema,
  by: z.string().min(1).max(128),
  reason: z.string().max(1_000).optional(),
});

/** The last word of a project's home: from here on it is decided at `to`. Nothing of it ran when this was said. */
export const projectMoved = z.object({
  project_id: projectIdSchema,
  from: nodeIdSchema,
  to: nodeIdSchema,
  /** Offset of the request, in the log of `from`: new tasks that users asked for behind it were not decided any more, nor was anything behind `afteroffset`. */
  requested_at: z.int().min(0),
});

/** The home of a project lets it go: nothing more of it is begun there. */
export const projectMoveStarted = z.object({
  project_id: projectIdSchema,
  to: nodeIdSchema,
  /** Offset of the request, in the log of the home. */
  requested_at: z.int().min(0),
});

/** What a move waits for beside running tasks: no cascade or rollback of the project is under way any more, and none is begun. */
export const projectReleased = z.object({ project_id: projectIdSchema, to: nodeIdSchema });

/** The first word of a project's new home. It took over behind `afteroffset` of its log; what was asked there before was not decided there. */
export const projectArrived = z.object({ project_id: projectIdSchema, from: nodeIdSchema, to: nodeIdSchema });

/** How records are packed into a batch. */
export const BATCH_ENCODING = 'gzip+base64';

/** What stands in a partition of the sender's log from `first` to below `next`, without what does not concern the receiver. */
export const linkBatch = z.object({
  node_id: nodeIdSchema,
  epoch: epochSchema,
  topic: topicSchema,
  partition: z.int().min(0),
  first: z.int().min(0),
  next: z.int().min(1),
  /** Of the records in it. */
  count: z.int().min(0).max(100_000),
  encoding: z.literal(BATCH_ENCODING),
  /** Of each a line of JSON, `[offset, key, headers, bytes]`, and behind it so many bytes, its value. */
  records: z.string(),
});
export type LinkBatch = z.infer<typeof linkBatch>;

/** Header of a record in the core's outbox that does not go to a project: the topic that it is for. Only the core may say so. */
export const LINKED_TOPIC = 'linkedtopic';

/** Header of a record that another node said first: `<epoch>/<position>/<node>`. Whoever has it copied it; only the project's home decides on it. */
export const LINKED_FROM = 'linkedfrom';

/** Header of what is sent on to a project's home: of how many moves of the project the sender knew. Who knows of fewer waits until it has heard of them. */
export const MOVES_KNOWN = 'movesknown';

/** Header of the last word that brings a project to an edge node, as the core sends it there: words of earlier moves are history. */
export const ARRIVES = 'arrives';

export interface LinkedFrom extends Pick<Position, 'partition' | 'offset'> {
  readonly epoch: number;
  readonly node: string;
}

export const formatLinkedFrom = ({ epoch, partition, offset, node }: LinkedFrom): string => `${epoch}/p${partition}-${offset}/${node}`;

/** Undefined where a record was said here, or what stands there is no place. */
export const linkedFromOf = (headers: Readonly<Record<string, string>>): LinkedFrom | undefined => {
  const text = headers[LINKED_FROM];
  if (text === undefined) return undefined;
  const [epoch, position = '', ...node] = text.split('/');
  const at = parsePosition(position);
  return at === undefined || !/^\d{1,9}$/.test(epoch!) ? undefined : { epoch: Number(epoch), ...at, node: node.join('/') };
};
