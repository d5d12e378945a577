// Histories with their checkpoints, and what somebody may do to them.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import fc from 'fast-check';
import { type AuditCheckpoint, dataschemaOf, derivedId } from '../../../schemas/index.js';
import { openBooks } from '../books.js';
import { checkpointRecord } from '../checkpoint-event.js';
import type { AuditEvent } from '../leaf.js';
import { leafOfEvent } from '../leaf.js';
import { type SigningKey, vkeyOf } from '../note.js';

/** DER of an Ed25519 private key without its 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The same key for the same seed. */
export const keyOf = (seed: number, name = 'dats/projects'): SigningKey => {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { sign: (message) => sign(null, message, key), publicKey, vkey: vkeyOf(name, publicKey) };
};
export const KEY = keyOf(1);
export const PROJECT = 'demo';

export interface WrittenHistory {
  readonly events: readonly AuditEvent[];
  readonly checkpoints: readonly AuditCheckpoint[];
}

export const headersOf = (n: number, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  specversion: '1.0',
  id: derivedId('history', n),
  source: '/testing',
  type: n % 3 === 0 ? 'dats.task.created' : 'dats.task.completed',
  time: '2026-11-21T00:00:00.000Z',
  subject: `task-${n}`,
  datacontenttype: 'application/json',
  dataschema: dataschemaOf('dats.task.completed'),
  projectid: PROJECT,
  correlationid: 'c',
  actor: 'ada',
  configversion: '1',
  ...more,
});

export const eventAt = (n: number, offset: number): AuditEvent =>
  n % 7 === 5
    ? { offset, headers: headersOf(n), raw: Buffer.from(`not JSON ${n}`).toString('base64') }
    : {
        offset,
        headers: headersOf(n),
        data: { task_id: `task-${n}`, attempt: 1, n, files: [{ path: 'a.py', content: `print(${n}) — ✓` }] },
      };

/** @param ends sizes at which a checkpoint is signed */
export const signedHistory = (events: readonly AuditEvent[], ends: readonly number[], key = KEY): WrittenHistory => {
  const books = openBooks([], { everyEvents: Infinity, everyMs: Infinity });
  const checkpoints: AuditCheckpoint[] = [];
  events.forEach((event, i) => {
    books.take(PROJECT, event.offset, leafOfEvent(event), 0);
    if (!ends.includes(i + 1)) return;
    const record = checkpointRecord(books.cut(PROJECT), { key, partition: 0, configVersion: '1' }, 0);
    checkpoints.push(JSON.parse(record.value as string) as AuditCheckpoint);
  });
  return { events, checkpoints };
};

/** Events with so many offsets left out before each. */
const eventsWith = (gaps: readonly number[]): AuditEvent[] => {
  let offset = -1;
  return gaps.map((gap, n) => {
    offset += 1 + gap;
    return eventAt(n, offset);
  });
};

/** `count` events, with gaps between their offsets, and checkpoints after each `every` of them. */
export const historyOf = (count: number, every: number, gaps: (n: number) => number = (n) => n % 3): WrittenHistory => {
  const events = eventsWith(Array.from({ length: count }, (_, n) => gaps(n)));
  return signedHistory(
    events,
    Array.from({ length: Math.floor(count / every) }, (_, i) => (i + 1) * every),
  );
};

export const histories: fc.Arbitrary<WrittenHistory> = fc
  .record({
    gaps: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 60 }),
    ends: fc.uniqueArray(fc.nat({ max: 59 }), { minLength: 1, maxLength: 6 }),
  })
  .map(({ gaps, ends }) => {
    return signedHistory(eventsWith(gaps), [...new Set(ends.map((end) => (end % gaps.length) + 1))]);
  });

export const coveredBy = ({ checkpoints }: WrittenHistory): number => checkpoints.at(-1)!.size;
