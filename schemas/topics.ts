// The topics of the log (architecture.md section 4) and how a key finds its partition.

export const TIERS = ['small', 'medium', 'large'] as const;
export type Tier = (typeof TIERS)[number];

/** Lanes of work: a tier's generation, or the checks, analyses and replays that need their own slots. No task waits behind a replay. */
export const LANES = [...TIERS, 'qa', 'analysis', 'replay'] as const;
export type Lane = (typeof LANES)[number];

export type WorkTopic = `dats.work.${Lane}`;
export type Topic =
  | 'dats.lifecycle'
  | 'dats.telemetry'
  | 'dats.audit'
  | 'dats.config'
  | 'dats.quota'
  | 'dats.nodes'
  | 'dats.link'
  | 'dats.outbox'
  | 'dats.dlq'
  | WorkTopic;

export const LIFECYCLE = 'dats.lifecycle' satisfies Topic;
export const TELEMETRY = 'dats.telemetry' satisfies Topic;
/** Checkpoints of the tamper-evident history, keyed by project. */
export const AUDIT = 'dats.audit' satisfies Topic;
/** Changes of the configuration. They all have one key, so one partition orders them. */
export const CONFIG = 'dats.config' satisfies Topic;
export const CONFIG_LOG_KEY = 'config';
/** The ledger of budgets. All of it has one key, so one partition orders every reservation and settlement. */
export const QUOTA = 'dats.quota' satisfies Topic;
export const LEDGER_KEY = 'ledger';
/** Nodes that come and go, keyed by node. */
export const NODES = 'dats.nodes' satisfies Topic;
/** What other nodes sent, as it came, keyed by the node that sent it: from here it goes where it belongs. */
export const LINK = 'dats.link' satisfies Topic;
/** What is for another node to decide or to have, keyed by that node. */
export const OUTBOX = 'dats.outbox' satisfies Topic;
export const DLQ = 'dats.dlq' satisfies Topic;
export const workTopic = (lane: Lane): WorkTopic => `dats.work.${lane}`;
export const WORK_TOPICS: readonly WorkTopic[] = LANES.map(workTopic);
export const TOPICS: readonly Topic[] = [LIFECYCLE, TELEMETRY, AUDIT, CONFIG, QUOTA, NODES, LINK, OUTBOX, DLQ, ...WORK_TOPICS];

const DAY_MS = 24 * 60 * 60 * 1000;
/** How long records are kept, in milliseconds; absent: for ever, as history is the truth. An adapter may keep more. */
export const TOPIC_RETENTION_MS: Readonly<Partial<Record<Topic, number>>> = {
  [TELEMETRY]: 30 * DAY_MS,
  [LINK]: 14 * DAY_MS,
  ...Object.fromEntries(WORK_TOPICS.map((topic) => [topic, 14 * DAY_MS])),
};

/** A place in the log. Offsets are numbers: exact up to 2^53, and Kafka's never come near it. */
export interface Position {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
}

/** `<partition>-<offset>`: the SSE event id, and how a position is written in text. The topic is implied by where it stands. */
export const formatPosition = (p: { readonly partition: number; readonly offset: number }): string => `p${p.partition}-${p.offset}`;

export const parsePosition = (text: string): { partition: number; offset: number } | undefined => {
  const m = /^p(\d{1,5})-(\d{1,15})$/.exec(text);
  return m ? { partition: Number(m[1]), offset: Number(m[2]) } : undefined;
};

/** FNV-1a over the key's UTF-16 units, mixed: which of `count` partitions a key lives in. Fixed for ever: order depends on it. */
export const partitionOf = (key: string, count: number): number => {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return ((h ^ (h >>> 13)) >>> 0) % count;
};
