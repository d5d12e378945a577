import { describe, expect, test } from 'vitest';
import { auditProofSchema } from '../../schemas/index.js';
import type { AuditEvent } from './leaf.js';
import { isOfAttempt, makes, proveEvents, refuteProof } from './prove.js';
import { headersOf, historyOf, KEY, keyOf, PROJECT, signedHistory } from './testing/histories.js';

const made: AuditEvent = {
  offset: 40,
  headers: headersOf(40, { type: 'dats.task.output.created' }),
  data: { task_id: 't', attempt: 1, artifacts: [{ artifact_id: 'art-1', path: 'made.py', sha256: 'x' }] },
};
const history = signedHistory([...historyOf(20, 20).events, made], [10, 21]);
const prove = (events: readonly AuditEvent[], artifactId?: string) =>
  proveEvents({ project: PROJECT, events, checkpoints: history.checkpoints, vkey: KEY.vkey, artifactId });

describe('a proof', () => {
  test('of every event holds with the key alone, and with no other', async () => {
    for (const event of history.events) {
      const proof = await prove([event]);
      expect(auditProofSchema.parse(JSON.parse(JSON.stringify(proof)))).toEqual(proof);
      expect(refuteProof(proof, KEY.vkey)).toBeUndefined();
      expect(refuteProof(proof, keyOf(2).vkey)).toMatch(/no valid signature/);
    }
  });

  test('is not made of what no checkpoint covers, nor of what is not what was signed', async () => {
    await expect(prove([{ ...made, offset: 99 }])).rejects.toMatchObject({ code: 'proof_pending', kind: 'retryable' });
    await expect(prove([{ ...made, data: {} }])).rejects.toMatchObject({ code: 'history_tampered' });
    await expect(prove([{ ...made, offset: 39 }])).rejects.toMatchObject({ code: 'history_tampered' });
    const base = { project: PROJECT, events: [made], vkey: KEY.vkey };
    await expect(proveEvents({ ...base, checkpoints: [] })).rejects.toMatchObject({ code: 'proof_pending' });
    await expect(proveEvents({ ...base, checkpoints: history.checkpoints.slice(1) })).rejects.toMatchObject({ code: 'history_tampered' });
    await expect(proveEvents({ ...base, checkpoints: history.checkpoints, vkey: keyOf(2).vkey })).rejects.toMatchObject({
      code: 'history_tampered',
    });
  });
});

test('the events of an artifact are those of the attempt that made it', () => {
  const of = (type: string, data: unknown): AuditEvent => ({ offset: 0, headers: headersOf(1, { type }), data });
  expect(makes(made, 'art-1')).toBe(true);
  expect(makes(made, 'art-2')).toBe(false);
  expect(makes(of('dats.task.validated', made.data), 'art-1')).toBe(false);
  expect(makes({ ...made, data: { artifacts: [null] } }, 'art-1')).toBe(false);
  expect(isOfAttempt(of('dats.task.validated', { task_id: 't', attempt: 1 }), made)).toBe(true);
  expect(isOfAttempt(of('dats.task.completed', { task_id: 't', attempt: 1 }), made)).toBe(true);
  expect(isOfAttempt(of('dats.task.completed', { task_id: 't', attempt: 2 }), made)).toBe(false);
  expect(isOfAttempt(of('dats.task.started', { task_id: 't', attempt: 1 }), made)).toBe(false);
});
