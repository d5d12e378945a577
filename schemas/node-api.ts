// What nodes and the core say to each other over HTTP, and how nodes are shown.
import { z } from 'zod';
import { sha256Schema } from './content.js';
import { linkBatch, nodeAbilitiesSchema, nodeIdSchema, nodeJoined, nodeRegistered } from './node.js';
import { nodeSampled } from './telemetry.js';

export const joinLinkSchema = z.strictObject(nodeJoined.shape);
export type JoinLink = z.infer<typeof joinLinkSchema>;

/** `<topic>/<partition>` of the node's log -> the offset below which the core has everything. */
const cursorsSchema = z.record(z.string(), z.int().min(0));

export const joinedLinkSchema = z.object({
  core: nodeIdSchema,
  /** The life of the core's own store, and where the node's part of its outbox ends. */
  core_store: z.string(),
  core_epoch: z.int().min(1),
  outbox: z.object({ partition: z.int().min(0), end: z.int().min(0) }),
  /** Which life of the node's store this is. */
  epoch: z.int().min(1),
  cursors: cursorsSchema,
  /** With a new store: what the core has of those before, and the new one does not. Empty: nothing. */
  missing: nodeRegistered.shape.missing.unwrap(),
});
export type JoinedLink = z.infer<typeof joinedLinkSchema>;

export const linkBatchSchema = z.strictObject(linkBatch.shape);

export const batchTakenSchema = z.object({
  /** The offset below which the core has everything of that partition: at least `next` of the batch, unless it could not be taken. */
  next: z.int().min(0),
});

/** What lies for a node in the core's outbox, from where the node has it. */
export const outboxQuerySchema = z.strictObject({
  node_id: nodeIdSchema,
  after: z.coerce.number().int().min(0).meta({ description: 'The offset below which the node has everything.' }),
  wait_ms: z.coerce.number().int().min(0).max(30_000).default(10_000).meta({ description: 'How long to wait for something to come.' }),
});

/** Contents by their digests: those of a list that are not there. */
export const contentsAskedSchema = z.strictObject({ node_id: nodeIdSchema, sha256: z.array(sha256Schema).max(10_000) });
export const contentsMissingSchema = z.object({ missing: z.array(sha256Schema) });
export const contentSentSchema = z.strictObject({ node_id: nodeIdSchema, sha256: sha256Schema, base64: z.base64() });

/** Wants a project to be decided on another node. */
export const moveProjectSchema = z.strictObject({
  to: nodeIdSchema,
  reason: z.string().min(1).max(1_000).optional(),
  by: z.string().min(1).max(128).optional(),
});
export type MoveProject = z.infer<typeof moveProjectSchema>;
export const projectHomeSchema = z.object({
  project_id: z.string(),
  home: nodeIdSchema,
  /** Where it is on its way to; null: it stays. */
  moving_to: nodeIdSchema.nullable(),
});
export type ProjectHome = z.infer<typeof projectHomeSchema>;

const chunkSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('text'), text: z.string() }),
  z.strictObject({
    kind: z.literal('tool_call'),
    index: z.int().min(0),
    id: z.string().optional(),
    name: z.string().optional(),
    arguments: z.string().optional(),
  }),
  z.strictObject({
    kind: z.literal('done'),
    finish_reason: z.enum(['stop', 'length', 'tool_calls', 'other']),
    input_tokens: z.int().min(0),
    output_tokens: z.int().min(0),
    cached_input_tokens: z.int().min(0).optional(),
    estimated: z.boolean().optional(),
    cold: z.boolean().optional(),
    response_model: z.string().max(256).optional(),
    model_digest: z.string().max(256).optional(),
  }),
]);

/** An edge node comes for calls of its models, and says how they are. */
export const takeCallsSchema = z.strictObject({
  node_id: nodeIdSchema,
  models: z.array(z.strictObject({ id: z.string().max(128), ok: z.boolean(), detail: z.string().max(1_000).optional() })).max(256),
  wait_ms: z.int().min(0).max(30_000).default(10_000),
});
export const callsTakenSchema = z.object({
  calls: z.array(
    z.object({
      call_id: z.string(),
      model: z.string(),
      /** As the model gateway asks it: messages, limits, tools. */
      wish: z.union([
        z.object({
          kind: z.literal('generate'),
          request: z.looseObject({ messages: z.array(z.looseObject({ role: z.string(), content: z.string() })) }),
        }),
        z.object({ kind: z.literal('embed'), texts: z.array(z.string()) }),
      ]),
    }),
  ),
});

/** What a node says of a call; nothing but its id: it goes on. */
export const givePartSchema = z.strictObject({
  node_id: nodeIdSchema,
  chunks: z.array(chunkSchema).max(10_000).optional(),
  embedded: z.strictObject({ vectors: z.array(z.array(z.number())), input_tokens: z.int().min(0) }).optional(),
  fault: z
    .strictObject({ code: z.string().max(64), detail: z.string().max(1_000).optional(), retry_after_ms: z.number().min(0).optional() })
    .optional(),
});
/** `wanted` false: nobody waits for it any more. */
export const partTakenSchema = z.object({ wanted: z.boolean() });

/** Does a node take new work? `draining`: not, and it is to be stopped; `drained`: it can be. */
export const admissionSchema = z.enum(['open', 'cordoned', 'draining', 'drained']);
export type AdmissionState = z.infer<typeof admissionSchema>;

/** How a node and its machine are. */
export const nodeVitalsSchema = z.strictObject({
  admission: admissionSchema,
  ...nodeSampled.pick({
    uptime_s: true,
    cpu_ratio: true,
    load_1m: true,
    rss_bytes: true,
    memory_free_bytes: true,
    memory_total_bytes: true,
  }).shape,
  /** The machine's graphics processors; none: it has none that nvidia-smi knows. What one of them does not tell is absent. */
  gpus: nodeSampled.shape.gpus.max(64),
  /** `loaded` absent: its server does not say. */
  models: z.array(z.strictObject({ id: z.string().max(128), ok: z.boolean(), loaded: z.boolean().optional() })).max(256),
  /** Records that a consumer group has not done, over all processes of the node. */
  lag: z.record(z.string().max(64), z.int().min(0)),
  /** Work items that run in the process that says this. */
  running_work: z.int().min(0),
});
export type NodeVitals = z.infer<typeof nodeVitalsSchema>;

/** What is asked of a node by an operator. */
export const nodeCommandSchema = z.strictObject({
  reason: z.string().min(1).max(1_000).optional(),
  by: z.string().min(1).max(128).optional(),
});
export type NodeCommand = z.infer<typeof nodeCommandSchema>;
export const nodeCommandAnswerSchema = z.object({
  node_id: nodeIdSchema,
  /** What was asked for. */
  admission: z.enum(['open', 'cordoned', 'draining']),
  /** False: the node is another one, and gets it with the next line. */
  here: z.boolean(),
});
export type NodeCommandAnswer = z.infer<typeof nodeCommandAnswerSchema>;

/** How a node is, as it says itself. */
export const nodeBeatSchema = z.strictObject({
  node_id: nodeIdSchema,
  epoch: z.int().min(1),
  /** What it believes the core to have: a core that has less was restored from a backup. */
  cursors: cursorsSchema,
  /** Records that are not at the core yet. */
  backlog: z.int().min(0),
  /** Bytes of batches as they went over the line, and batches, since its process began. */
  sent: z.strictObject({ bytes: z.int().min(0), batches: z.int().min(0) }).optional(),
  vitals: nodeVitalsSchema,
});
export type NodeBeat = z.infer<typeof nodeBeatSchema>;

export const nodeViewSchema = z.object({
  id: nodeIdSchema,
  role: z.enum(['core', 'edge']),
  /** Where the others reach it; null: nobody does, it dials the core. */
  url: z.string().nullable(),
  /** `new`: it never came. `connected`: heard of within the last beats. `away`: not heard of since `seen_at`; `lost`: that was said (`dats.node.lost`). */
  state: z.enum(['new', 'connected', 'away', 'lost', 'here']),
  seen_at: z.string().nullable(),
  admission: admissionSchema.nullable(),
  epoch: z.int().nullable(),
  store_id: z.string().nullable(),
  /** Patterns of the projects whose home it is. */
  projects: z.array(z.string()),
  /** Records that it had not sent when it was last heard of. */
  backlog: z.int().nullable(),
  running_work: z.int().nullable(),
  /** As it was when it was last heard of; null: it never said. */
  vitals: nodeVitalsSchema.nullable(),
  cursors: cursorsSchema,
  abilities: nodeAbilitiesSchema.nullable(),
});
export type NodeView = z.infer<typeof nodeViewSchema>;
export const nodeListSchema = z.object({ self: z.string(), nodes: z.array(nodeViewSchema) });
