// From a record to its leaf: the bytes that are hashed into the tree.
//
// F1. A leaf is RFC 8785 JSON of all attributes, as strings, and `datadigest`: `sha256:` and the hex SHA-256 of the data in RFC 8785 JSON. F2. A value that
// has no such text (not JSON, not UTF-8) has a leaf too: `rawdigest`, over its bytes. F3. Total: every record has a leaf, and the same one on every machine.
// F4. A foreign header that is called like a digest gets a `_` before its name, so that it cannot stand in for one.
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { LIFECYCLE, partitionOf, projectIdSchema } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';
import { canonicalOf } from './canonical.js';
import { leafHash } from './tree.js';

/** An event outside of the log: a line of a bundle, an item of a proof. Exactly one of `data` and `raw`. */
export interface AuditEvent {
  readonly offset: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly data?: unknown;
  /** Base64 of a value that has no canonical JSON. */
  readonly raw?: string | undefined;
}

type Content = Pick<Recorded, 'headers' | 'value'>;

type DigestName = 'datadigest' | 'rawdigest';

const DIGEST_NAME = /^_*(?:data|raw)digest$/;
const escaped = (header: string): string => (DIGEST_NAME.test(header) ? `_${header}` : header);

/** In which order headers are written, and what stands before each; the digest is null. */
type Plan = readonly (readonly [header: string | null, before: string])[];
const plans = new Map<string, Plan>();
/** Sets of header names are few, but for what a foreign producer may make up. */
const PLANS_LIMIT = 1_000;

const planFor = (names: readonly string[], digest: DigestName): Plan => {
  const key = JSON.stringify([digest, ...names]);
  let plan = plans.get(key);
  if (plan === undefined) {
    const written = new Map<string, string | null>(names.map((name) => [escaped(name), name]));
    written.set(digest, null);
    plan = [...written.keys()].sort().map((name, i) => [written.get(name)!, `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`] as const);
    if (plans.size < PLANS_LIMIT) plans.set(key, plan);
  }
  return plan;
};

/** F1, F4. Written out: RFC 8785 of strings is sorted names and JSON.stringify. */
const leafOf = (headers: Content['headers'], digest: DigestName, content: string | Uint8Array): Buffer => {
  let text = '';
  for (const [header, before] of planFor(Object.keys(headers), digest))
    text += header === null ? `${before}"sha256:${hash('sha256', content, 'hex')}"` : before + JSON.stringify(headers[header]);
  return leafHash(`${text}}`);
};

const bytesOf = (value: Content['value']): Buffer =>
  typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);

/** @returns undefined for a value that has no canonical text (F2). */
const parsed = (value: Content['value']): { readonly data: unknown; readonly canonical: string } | undefined => {
  if (typeof value !== 'string' && !isUtf8(value)) return undefined;
  try {
    const data: unknown = JSON.parse(typeof value === 'string' ? value : bytesOf(value).toString());
    const canonical = canonicalOf(data);
    return canonical === undefined ? undefined : { data, canonical };
  } catch {
    return undefined;
  }
};

/** The leaf hash of a record, 32 bytes. */
export const leafOfRecord = ({ headers, value }: Content): Buffer => {
  const json = parsed(value);
  return json === undefined ? leafOf(headers, 'rawdigest', bytesOf(value)) : leafOf(headers, 'datadigest', json.canonical);
};

/** The leaf hash of an event of a bundle or a proof. */
export const leafOfEvent = (event: AuditEvent): Buffer => {
  const canonical = event.raw === undefined ? canonicalOf(event.data) : undefined;
  if (canonical !== undefined) return leafOf(event.headers, 'datadigest', canonical);
  return leafOf(
    event.headers,
    'rawdigest',
    event.raw === undefined ? (JSON.stringify(event.data) ?? '') : Buffer.from(event.raw, 'base64'),
  );
};

export const auditEventOf = ({ offset, headers, value }: Content & Pick<Recorded, 'offset'>): AuditEvent => {
  const json = parsed(value);
  return json === undefined ? { offset, headers, raw: bytesOf(value).toString('base64') } : { offset, headers, data: json.data };
};

/** The project whose history a record of `dats.lifecycle` is part of: the one that its header names, if that project lives in its partition. */
export const openProjectOf = (partition: number, partitions: number): ((record: Pick<Recorded, 'headers'>) => string | undefined) => {
  const known = new Map<string, boolean>();
  return ({ headers }) => {
    const project = headers.projectid;
    if (project === undefined) return undefined;
    let here = known.get(project);
    if (here === undefined) {
      here = projectIdSchema.safeParse(project).success && partitionOf(project, partitions) === partition;
      if (known.size < KNOWN_LIMIT) known.set(project, here);
    }
    return here ? project : undefined;
  };
};
/** Projects remembered, a partition: a foreign producer may make names up. */
const KNOWN_LIMIT = 100_000;

/** The topic that is audited. */
export const AUDITED = LIFECYCLE;
