// The texts behind a rollback: what stands, and what will stand, as diffs. Bounded: who decides reads the first, not ten thousand lines.
import { isFault, type PathChange, type Version } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { type Colours, DIFF_LINES, diffLines } from '../render/index.js';

/** Files whose texts are compared, and lines shown of all of them. */
const FILES = 20;
const LINES = 200;
/** Of a file that goes as a whole, or comes as a whole: enough to know it by. */
const LINES_OF_A_WHOLE = 12;
const WITHOUT_ROOM = 3;

const contentOf = (client: DatsClient, version: Version | null, signal: AbortSignal): Promise<Uint8Array | undefined> =>
  version === null ? Promise.resolve(undefined) : client.artifactContent(version, { signal });

/** By path. A text that cannot be had is said to be so: the rollback itself needs no text. */
export const diffsOf = async (
  client: DatsClient,
  changes: readonly PathChange[],
  colours: Colours,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> => {
  const diffs = new Map<string, readonly string[]>();
  let room = LINES;
  for (const { path, from, to } of changes.slice(0, FILES)) {
    if (room < WITHOUT_ROOM) break;
    try {
      const [before, after] = await Promise.all([contentOf(client, from, signal), contentOf(client, to, signal)]);
      const lines = diffLines(before, after, {
        colours,
        lines: Math.min(room, from === null || to === null ? LINES_OF_A_WHOLE : DIFF_LINES),
      });
      diffs.set(path, lines);
      room -= lines.length;
    } catch (error) {
      if (signal.aborted || !isFault(error) || error.code === 'server_unreachable') throw error;
      diffs.set(path, [colours.dim(`(its text cannot be shown: ${error.message.split('\n', 1)[0]})`)]);
    }
  }
  return diffs;
};
