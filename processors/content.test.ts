import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault, INLINE_LIMIT_BYTES } from '../schemas/index.js';
import { inlineContent, inlineText, loadText, referenceText, sha256Of, storeText } from './content.js';
import { memoryArtifactStore } from './testing/index.js';

describe('content', () => {
  it('has the digest of its UTF-8 bytes', () => {
    for (const text of ['', 'abc', 'ä\u{1f600}', 'x'.repeat(100_000)])
      expect(sha256Of(text)).toBe(createHash('sha256').update(Buffer.from(text)).digest('hex'));
  });

  it('keeps text up to the limit inside the event, without touching the store', async () => {
    const store = memoryArtifactStore();
    const text = 'x'.repeat(INLINE_LIMIT_BYTES);
    const content = await storeText(store, text);
    expect(content).toEqual({ sha256: sha256Of(text), bytes: INLINE_LIMIT_BYTES, content: text });
    expect(inlineContent(text)).toEqual(content);
    expect(inlineText(content)).toBe(text);
    expect(store.blobs.size).toBe(0);
  });

  it('counts bytes, not characters', async () => {
    const store = memoryArtifactStore();
    const content = await storeText(store, 'ä'.repeat(INLINE_LIMIT_BYTES / 2 + 1));
    expect(content.content).toBeUndefined();
    expect(content.bytes).toBe(INLINE_LIMIT_BYTES + 2);
    expect(store.blobs.size).toBe(1);
  });

  it('gives back what it was given, inline or claim-checked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 3000 }), async (piece, times) => {
        const store = memoryArtifactStore();
        const text = piece.repeat(times);
        expect(await loadText(store, await storeText(store, text))).toBe(text);
        expect(await loadText(store, await referenceText(store, text))).toBe(text);
      }),
      { numRuns: 50 },
    );
  });

  it('says what is wrong with content that is nowhere', async () => {
    const lost = loadText(memoryArtifactStore(), { sha256: sha256Of('a'), bytes: 1 });
    await expect(lost).rejects.toMatchObject({ kind: 'terminal', code: 'content_missing' });
    await expect(lost).rejects.toBeInstanceOf(Fault);
  });
});
