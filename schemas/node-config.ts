// The sections of servers.yaml about nodes: who there is, and the link between them.
import { z } from 'zod';
import { envNameSchema, urlSchema } from './config-values.js';
import { nodeIdSchema } from './node.js';

interface Problem {
  readonly path: (string | number)[];
  readonly message: string;
}

export const nodeProblems = ({
  node,
  nodes,
}: {
  readonly node: { readonly id: string };
  readonly nodes: readonly { readonly id: string; readonly url?: string | undefined; readonly token_env?: string | undefined }[];
}): readonly Problem[] => {
  if (nodes.length === 0) return [];
  const problems: Problem[] = [];
  nodes.forEach(({ id, url, token_env }, i) => {
    if (nodes.findIndex((other) => other.id === id) < i)
      problems.push({ path: ['nodes', i, 'id'], message: `"${id}" is used twice; node ids must be unique` });
    if (url === undefined && token_env === undefined)
      problems.push({
        path: ['nodes', i],
        message: `"${id}" is an edge node and needs a token_env: the NAME of the variable that holds its token, such as DATS_TOKEN_${id.toUpperCase().replace(/\W/g, '_')}`,
      });
  });
  const cores = nodes.filter(({ url }) => url !== undefined).length;
  if (cores !== 1)
    problems.push({ path: ['nodes'], message: `one node, the core, has a url, by which the others reach it; here ${cores} have one` });
  if (!nodes.some(({ id }) => id === node.id))
    problems.push({
      path: ['node', 'id'],
      message: `"${node.id}" is none of the nodes (${nodes.map(({ id }) => id).join(', ')}); say which of them this is, in node.id or DATS_NODE_ID`,
    });
  return problems;
};

/** One node of several. */
export const nodeEntrySchema = z.strictObject({
  id: nodeIdSchema,
  /** The core has one: where the other nodes reach it. */
  url: urlSchema.optional(),
  /** Name of the environment variable that holds what the node proves itself with at the core: the same text on both machines. */
  token_env: envNameSchema.optional(),
  /** Projects whose home it is from the beginning; `*` stands for any text. Default: the node's id, and what begins with it and a dash. */
  projects: z.array(z.string().min(1).max(128)).max(256).optional(),
  /** Sections of this file as they are on this node alone; what is not said here is as it stands above. */
  own: z.record(z.string(), z.unknown()).optional(),
});
export type NodeEntry = z.infer<typeof nodeEntrySchema>;

export const linkConfigSchema = z.strictObject({
  /** Records wait for so long to share a batch, in milliseconds. */
  flush_ms: z.int().min(0).max(60_000).default(500),
  /** Of a batch, at most. */
  batch_records: z.int().min(1).max(10_000).default(1_000),
  /** How fast a node sends, in bytes a second as they go over the line; 0: as fast as it can. */
  bytes_per_s: z.int().min(0).default(0),
  /** The longest wait between two tries to reach the core, in milliseconds. */
  retry_max_ms: z.int().min(100).max(60_000).default(10_000),
});
