import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openArtifactFiles } from './artifact-files.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const HELLO = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';

describe('the artifact store on disk', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'dats-artifacts-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('names content by its SHA-256 and gives back the same bytes, also after it is opened again', async () => {
    const store = await openArtifactFiles(dir);
    expect(await store.put(bytes('hello'))).toBe(HELLO);
    expect(new TextDecoder().decode(await store.get(HELLO))).toBe('hello');
    expect(new TextDecoder().decode(await (await openArtifactFiles(dir)).get(HELLO))).toBe('hello');
  });

  it('stores the same bytes once, also when they come at the same time', async () => {
    const store = await openArtifactFiles(dir);
    await store.put(bytes('hello'));
    const path = join(dir, HELLO.slice(0, 2), HELLO.slice(2));
    const { ino } = statSync(path);
    await Promise.all(Array.from({ length: 20 }, () => store.put(bytes('hello'))));
    expect(statSync(path).ino).toBe(ino);
    expect(readdirSync(join(dir, 'incoming'))).toEqual([]);
  });

  it('gives back any bytes', async () => {
    const store = await openArtifactFiles(dir);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (content) => {
        expect(Buffer.from(await store.get(await store.put(content))).equals(Buffer.from(content))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('refuses what is missing, and names that are no digests', async () => {
    const store = await openArtifactFiles(dir);
    for (const name of [HELLO, '../../etc/passwd', 'ab', HELLO.toUpperCase()])
      await expect(store.get(name)).rejects.toMatchObject({ kind: 'terminal', code: 'content_missing' });
  });

  it('notices content that changed on disk, and a new put heals it', async () => {
    const store = await openArtifactFiles(dir);
    await store.put(bytes('hello'));
    writeFileSync(join(dir, HELLO.slice(0, 2), HELLO.slice(2)), 'hellO');
    await expect(store.get(HELLO)).rejects.toMatchObject({ kind: 'terminal', code: 'content_corrupt' });
    await store.put(bytes('hello'));
    expect(new TextDecoder().decode(await store.get(HELLO))).toBe('hello');
  });

  it('removes at open what a crash left half-written long ago, and leaves alone what another process is writing', async () => {
    mkdirSync(join(dir, 'incoming'));
    writeFileSync(join(dir, 'incoming', 'half'), 'hel');
    writeFileSync(join(dir, 'incoming', 'young'), 'hel');
    const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
    utimesSync(join(dir, 'incoming', 'half'), longAgo, longAgo);
    await openArtifactFiles(dir);
    expect(readdirSync(join(dir, 'incoming'))).toEqual(['young']);
  });

  it('a full disk is a retryable fault, leaves nothing behind, and works again when there is room', async () => {
    let room = false;
    const store = await openArtifactFiles(dir, {
      write: async (path, content) => {
        writeFileSync(path, room ? content : content.subarray(0, 2));
        if (!room) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      },
    });
    await expect(store.put(bytes('hello'))).rejects.toMatchObject({ kind: 'retryable', code: 'disk_full' });
    expect(readdirSync(join(dir, 'incoming'))).toEqual([]);
    await expect(store.get(HELLO)).rejects.toMatchObject({ code: 'content_missing' });
    room = true;
    expect(await store.put(bytes('hello'))).toBe(HELLO);
    expect(new TextDecoder().decode(await store.get(HELLO))).toBe('hello');
  });
});
