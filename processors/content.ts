// Text in and out of events: inline up to INLINE_LIMIT_BYTES, above that a claim check in the artifact store. The digest is over the UTF-8 bytes.
//
// T1. What `loadText` returns is what `storeText` was given. T2. Inline content costs no promise: `inlineContent` and `inlineText` are synchronous.
import crypto from 'node:crypto';
import { type Content, Fault, INLINE_LIMIT_BYTES } from '../schemas/index.js';
import type { ArtifactStore } from './artifact-store.js';

/** One call instead of three, where this Node has it (20.12); a third of the time for short texts. */
const hash: typeof crypto.hash | undefined = crypto.hash;

/** Lower-case hex SHA-256 of the text's UTF-8 bytes. */
export const sha256Of: (text: string) => string =
  hash === undefined ? (text) => crypto.hash('sha256', text, 'hex') : (text) => hash('sha256', text, 'hex');

/** The content of a text that fits into an event; undefined when it is larger and has to go to the store. */
export const inlineContent = (text: string): Content | undefined => {
  const bytes = Buffer.byteLength(text);
  return bytes > INLINE_LIMIT_BYTES ? undefined : { sha256: sha256Of(text), bytes, content: text };
};

/** The text of inline content; undefined when it is a claim check. */
export const inlineText = (content: Content): string | undefined => content.content;

/** Always a claim check, durable when it resolves. @throws Fault retryable `disk_full`. */
export const referenceText = async (artifacts: ArtifactStore, text: string): Promise<Content> => {
  const bytes = Buffer.from(text, 'utf8');
  const sha256 = await artifacts.put(bytes);
  return { sha256, bytes: bytes.byteLength, dataref: `sha256:${sha256}` };
};

/** Inline, or a claim check that is durable when it resolves. @throws Fault retryable `disk_full`. */
export const storeText = async (artifacts: ArtifactStore, text: string): Promise<Content> =>
  inlineContent(text) ?? (await referenceText(artifacts, text));

/** @throws Fault terminal `content_missing`, `content_corrupt`. */
export const loadText = async (artifacts: ArtifactStore, content: Content): Promise<string> => {
  if (content.content !== undefined) return content.content;
  if (content.dataref === undefined)
    throw new Fault(
      'terminal',
      'content_missing',
      'the content is neither inline nor a claim check; the event that holds it was not written by this system',
    );
  const bytes = await artifacts.get(content.dataref.slice('sha256:'.length));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
};
