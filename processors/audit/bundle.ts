// A history to take away: as a stream of lines, and as a folder that can be verified without this product.
//
// U1. A stream ends with a line that counts what was in it: without that it was cut off, and is refused. U2. Lines are written as they come: a bundle of any
// size needs no memory.
import { z } from 'zod';
import { type AuditCheckpoint, auditCheckpoint, auditEventSchema, Fault } from '../../schemas/index.js';
import type { AuditEvent } from './leaf.js';

export const BUNDLE_FILES = ['events.jsonl', 'checkpoints.jsonl', 'key.vkey', 'README.txt'] as const;
export type BundleFile = (typeof BUNDLE_FILES)[number];

const headSchema = z.object({ vkey: z.string(), origin: z.string(), project: z.string() });
export type BundleHead = z.infer<typeof headSchema>;
const lineSchema = z.union([
  headSchema,
  z.object({ event: auditEventSchema }),
  z.object({ checkpoint: auditCheckpoint }),
  z.object({ end: z.object({ events: z.int(), checkpoints: z.int() }) }),
]);

export interface BundleSource {
  readonly head: BundleHead;
  readonly events: Iterable<AuditEvent> | AsyncIterable<AuditEvent>;
  readonly checkpoints: Iterable<AuditCheckpoint> | AsyncIterable<AuditCheckpoint>;
}

/** The stream: NDJSON, line by line, each with its newline. */
export async function* bundleLines({ head, events, checkpoints }: BundleSource): AsyncGenerator<string> {
  const end = { events: 0, checkpoints: 0 };
  yield `${JSON.stringify(head)}\n`;
  for await (const event of events) {
    end.events++;
    yield `${JSON.stringify({ event })}\n`;
  }
  for await (const checkpoint of checkpoints) {
    end.checkpoints++;
    yield `${JSON.stringify({ checkpoint })}\n`;
  }
  yield `${JSON.stringify({ end })}\n`;
}

export interface WrittenBundle extends BundleHead {
  readonly events: number;
  readonly checkpoints: number;
}

const broken = (why: string, cause?: unknown) => new Fault('terminal', 'bad_bundle', `not a whole bundle: ${why}`, { cause });

/**
 * Makes the files of a bundle of a stream's lines. `write` appends text to a file, in order.
 * @throws Fault terminal `bad_bundle` for a stream that is none, or was cut off; the error of `write`
 */
export const writeBundle = async (
  lines: Iterable<string> | AsyncIterable<string>,
  write: (file: BundleFile, text: string) => Promise<void> | void,
): Promise<WrittenBundle> => {
  let head: BundleHead | undefined;
  let ended = false;
  const counted = { events: 0, checkpoints: 0 };
  for await (const line of lines) {
    if (line.trim() === '') continue;
    if (ended) throw broken('there is more behind its last line');
    const said = lineOf(line);
    if (head === undefined) {
      if (!('vkey' in said)) throw broken('it does not begin with its key');
      head = said;
      await write('key.vkey', `${head.vkey}\n`);
      await write('README.txt', readmeOf(head));
      await write('events.jsonl', '');
      await write('checkpoints.jsonl', '');
    } else if ('event' in said) {
      counted.events++;
      await write('events.jsonl', `${JSON.stringify(said.event)}\n`);
    } else if ('checkpoint' in said) {
      counted.checkpoints++;
      await write('checkpoints.jsonl', `${JSON.stringify(said.checkpoint)}\n`);
    } else if ('end' in said) {
      ended = true;
      if (said.end.events !== counted.events || said.end.checkpoints !== counted.checkpoints) throw broken('lines are missing');
    } else throw broken('it has two beginnings');
  }
  if (head === undefined || !ended) throw broken('it was cut off');
  return { ...head, ...counted };
};

const lineOf = (line: string): z.infer<typeof lineSchema> => {
  try {
    return asItCame(lineSchema, line);
  } catch (cause) {
    throw broken(`a line is not one of a bundle: ${line.slice(0, 80)}`, cause);
  }
};

/** An event of a line of events.jsonl. @throws Fault terminal `bad_bundle` */
export const eventOfLine = (line: string): AuditEvent => fileLine(auditEventSchema, line) as AuditEvent;
/** A checkpoint of a line of checkpoints.jsonl. @throws Fault terminal `bad_bundle` */
export const checkpointOfLine = (line: string): AuditCheckpoint => fileLine(auditCheckpoint, line);

/** Checked, not copied: a copy would lose names such as `__proto__`, and with them the leaf. */
const asItCame = <T>(schema: z.ZodType<T>, line: string): T => {
  const value: unknown = JSON.parse(line);
  schema.parse(value);
  return value as T;
};

const fileLine = <T>(schema: z.ZodType<T>, line: string): T => {
  try {
    return asItCame(schema, line);
  } catch (cause) {
    throw broken(`a line does not fit: ${line.slice(0, 80)}`, cause);
  }
};

const readmeOf = ({
  project,
  origin,
  vkey,
}: BundleHead): string => `History of project ${project}, with the checkpoints that its keeper signed.

events.jsonl       one event a line, in order: its offset, its attributes (headers), and its data (or raw: base64 of what is no JSON)
checkpoints.jsonl  one checkpoint a line, in order: the leaves since the one before, and the signed note
key.vkey           the key that checkpoints are verified with

Verify it, with nothing but Node.js 20 or newer:

    node verify.mjs <this folder> --key '<the vkey that you know>'

verify.mjs is processors/audit/offline/verify.mjs of the product: one file without dependencies; read it before you trust it.
A key that comes with a bundle proves only that bundle and key belong together. Compare it with the one that the keeper published:

    ${vkey}

Formats: RFC 6962 (tree: leaf SHA-256(0x00 || leaf), node SHA-256(0x01 || left || right)), C2SP tlog-checkpoint and signed-note (Ed25519), RFC 8785 (canonical JSON).
A leaf is the canonical JSON of all headers and "datadigest": "sha256:<hex of SHA-256 of the canonical JSON of data>"; for raw values "rawdigest", over the bytes.
A header whose name is "datadigest" or "rawdigest", with or without "_" before it, has one more "_" before its name in the leaf.
The first line of every checkpoint is ${origin}.

What it proves: the events that the newest valid checkpoint covers are those that were signed, all of them, in that order.
What it does not: events after the newest checkpoint; that no newer checkpoint exists; and whoever holds the private key can sign another history.
`;
