// Reading bodies: bounded, UTF-8 only, parsed once.
//
// Y1. A body above the limit is refused as soon as that is known, by its Content-Length or at the byte that exceeds it; it is never buffered whole.
// Y2. What cannot be written back the same (invalid UTF-8, lone surrogates) is refused: it would have another digest in the log.
import { isUtf8 } from 'node:buffer';
import { invalid, refuse } from '../problem.js';

const tooLarge = (limit: number) =>
  refuse(
    'body_too_large',
    `the body is above ${limit} bytes (gateway.body_limit_bytes); send less, larger material split into several tasks' "files"`,
  );

const readCounted = async (body: ReadableStream<Uint8Array>, limit: number): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks, bytes);
    bytes += value.byteLength;
    if (bytes > limit) {
      reader.cancel().catch(() => undefined);
      throw tooLarge(limit);
    }
    chunks.push(value);
  }
};

const readBytes = async (request: Request, limit: number): Promise<Buffer> => {
  const length = request.headers.get('content-length');
  if (length !== null) {
    if (Number(length) > limit) throw tooLarge(limit);
    if (request.headers.get('transfer-encoding') === null) return Buffer.from(await request.arrayBuffer());
  }
  return request.body === null ? Buffer.alloc(0) : readCounted(request.body, limit);
};

/** @throws Fault `body_too_large`, `malformed_json` when it is not UTF-8, `client_gone`. */
export const readText = async (request: Request, limit: number): Promise<string> => {
  let bytes: Buffer;
  try {
    bytes = await readBytes(request, limit);
  } catch (error) {
    if (error instanceof Error && error.name !== 'Fault')
      throw refuse('client_gone', 'the connection ended before the whole body was here', error);
    throw error;
  }
  if (!isUtf8(bytes)) throw refuse('malformed_json', 'the body is not valid UTF-8');
  return bytes.toString('utf8');
};

/** @throws Fault `malformed_json`, `validation_failed` for text that no UTF-8 can hold. */
export const parseJson = (text: string): unknown => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse(
      'malformed_json',
      `the body is not JSON: ${cause instanceof Error ? cause.message.slice(0, 200) : 'it cannot be parsed'}`,
      cause,
    );
  }
  if (SURROGATE_ESCAPE.test(text)) refuseLoneSurrogates(value);
  return value;
};

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

const refuseLoneSurrogates = (root: unknown): void => {
  const open: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: root, path: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path } = next;
    if (typeof value === 'string' && LONE_SURROGATE.test(value))
      throw invalid([{ path, message: 'holds half of a surrogate pair, which is not text' }]);
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, inner] of Object.entries(value)) {
      if (LONE_SURROGATE.test(key)) throw invalid([{ path, message: 'has a field whose name is not text (half of a surrogate pair)' }]);
      open.push({ value: inner, path: [...path, key] });
    }
  }
};

/** Is it JSON, newline-delimited JSON, or something else? `application/problem+json` and the like count as JSON. */
export const mediaOf = (header: string | null): 'json' | 'ndjson' | undefined => {
  if (header === 'application/json') return 'json';
  const type = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || /^application\/[a-z0-9.-]+\+json$/.test(type)) return 'json';
  return type === 'application/x-ndjson' || type === 'application/jsonl' || type === 'application/ndjson' ? 'ndjson' : undefined;
};
