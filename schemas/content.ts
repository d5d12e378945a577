// Content: files, prompts and outputs. Up to INLINE_LIMIT_BYTES it travels inside the event; above, it lies in the
// content-addressed store and the event carries `dataref` and the digest (claim check).
import { z } from 'zod';

/** Content up to this size is inline; larger content is a claim check. */
export const INLINE_LIMIT_BYTES = 32 * 1024;

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

/** Exactly one of `content` (UTF-8 text) and `dataref` (`sha256:<hex>` in the artifact store) is there. */
export const contentSchema = z.object({
  sha256: sha256Schema,
  /** Size of the UTF-8 bytes. */
  bytes: z.int().min(0),
  content: z.string().optional(),
  dataref: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
});
export type Content = z.infer<typeof contentSchema>;

/** A path inside a task's folder: relative, forward slashes, no empty, `.` or `..` part, no control characters. */
export const pathSchema = z
  .string()
  .min(1)
  .max(400)
  .refine(
    isSafePath,
    'must be a relative path inside the task folder: no leading "/", no "..", no backslash, no drive, no control character',
  );

export function isSafePath(path: string): boolean {
  if (/[\u0000-\u001f\u007f\\]/.test(path) || /^[a-zA-Z]:/.test(path)) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.length <= 255);
}

export const fileSchema = contentSchema.extend({ path: pathSchema });
export type FileContent = z.infer<typeof fileSchema>;

/** What an output file is; the language decides which checks apply. */
export const LANGUAGES = ['python', 'typescript', 'javascript', 'json', 'markdown', 'text'] as const;
export type Language = (typeof LANGUAGES)[number];

const BY_EXTENSION: Readonly<Record<string, Language>> = {
  py: 'python',
  pyi: 'python',
  ts: 'typescript',
  mts: 'typescript',
  cts: 'typescript',
  tsx: 'typescript',
  js: 'javascript',
  mjs: 'javascript',
  cjs: 'javascript',
  jsx: 'javascript',
  json: 'json',
  md: 'markdown',
};
export const languageOf = (path: string): Language => BY_EXTENSION[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? 'text';

export const artifactSchema = contentSchema.extend({
  artifact_id: z.string().min(1).max(64),
  /** The language of the file. */
  type: z.enum(LANGUAGES),
  path: pathSchema,
});
export type Artifact = z.infer<typeof artifactSchema>;

/** An artifact that was consumed as input, and where in the lifecycle topic the event stands that holds it. */
export const artifactRefSchema = z.object({
  artifact_id: z.string(),
  task_id: z.string(),
  path: pathSchema,
  sha256: sha256Schema,
  /** Offset in the project's partition of the `dats.task.output.created` event. */
  at: z.int().min(0),
});
export type ArtifactRef = z.infer<typeof artifactRefSchema>;
