// Contents that are too large for events go before the events that name them: an event that was taken in can be worked with.
import type { ArtifactStore } from '../../processors/index.js';
import type { Recorded } from '../../streams/index.js';
import type { Line } from './line.js';

const NAMED = /"dataref":"sha256:([0-9a-f]{64})"/g;
const MENTION = '"dataref"';
/** Digests that are known to be there, at most. */
const REMEMBERED = 10_000;

/** Digests of the contents that records name. */
export const contentsIn = (records: readonly Pick<Recorded, 'value'>[]): readonly string[] => {
  const found = new Set<string>();
  for (const { value } of records) {
    const content = typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    // Nearly all name none: looking for a word costs a tenth of making text of it.
    if (!content.includes(MENTION)) continue;
    for (const [, digest] of content.toString().matchAll(NAMED)) found.add(digest!);
  }
  return [...found];
};

export interface Contents {
  /** Sends what the core does not have of what these records name. */
  push(records: readonly Pick<Recorded, 'value'>[], signal: AbortSignal): Promise<void>;
  /** Fetches what is not here of what these records name. */
  pull(records: readonly Pick<Recorded, 'value'>[], signal: AbortSignal): Promise<void>;
}

export const openContents = (line: Line, artifacts: ArtifactStore): Contents => {
  const there = new Set<string>();
  const remember = (digest: string): void => {
    if (there.size >= REMEMBERED) there.clear();
    there.add(digest);
  };
  return {
    push: async (records, signal) => {
      const named = contentsIn(records).filter((digest) => !there.has(digest));
      if (named.length === 0) return;
      for (const digest of await line.missing(named, signal)) {
        // What this store lost it cannot send; the event goes all the same.
        const bytes = await artifacts.get(digest).catch(() => undefined);
        if (bytes !== undefined) await line.sendContent(digest, bytes, signal);
      }
      for (const digest of named) remember(digest);
    },
    pull: async (records, signal) => {
      for (const digest of contentsIn(records))
        if ((await artifacts.get(digest).catch(() => undefined)) === undefined) await artifacts.put(await line.content(digest, signal));
    },
  };
};
