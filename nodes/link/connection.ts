// One HTTP/2 connection to the core, and a call on it.
//
// C1. Over TLS and in the clear alike: whatever answers there has to speak HTTP/2, a proxy too. C2. No redirects, nothing but the call. C3. A connection that died without
// a word is known by a ping that is not answered, long before a call would be given up: a core that is slow to answer calls answers pings all the same.
import { type ClientHttp2Session, connect, constants } from 'node:http2';

export interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
}

/** Of an answer, at most. */
const ANSWER_BYTES = 64 * 1024 * 1024;
/** What may be on its way here before we say that it came, of one call and of all. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Of what waits to be sent, above which Node refuses further calls; in MB. */
const SESSION_MB = 256;

/** A ping that is not answered until the next one ends the connection; milliseconds. It also keeps what lies between (a NAT) from forgetting it. */
const PING_MS = 3_000;

/** Of a connection to something else than HTTP/2. */
const OTHER_PROTOCOL = /^ERR_HTTP2_ERROR$|NO_APPLICATION_PROTOCOL$/;

/** Whether whatever is there was reached, and does not speak HTTP/2 (C1). */
export const isOtherProtocol = (error: unknown): boolean => {
  const { code, cause } = error as { readonly code?: string; readonly cause?: { readonly code?: string } };
  return [code, cause?.code].some((one) => one !== undefined && OTHER_PROTOCOL.test(one));
};

/** C3. */
const watch = (session: ClientHttp2Session, pingMs: number): void => {
  let isAnswered = true;
  const timer = setInterval(() => {
    if (!isAnswered) return session.destroy(new Error(`nothing came for ${pingMs} ms, not even the answer to a ping`));
    isAnswered = false;
    session.ping(() => {
      isAnswered = true;
    });
  }, pingMs);
  timer.unref();
  session.once('close', () => clearInterval(timer));
};

/** It connects by itself; calls that are made before wait for it. */
export const openConnection = (url: string, pingMs = PING_MS): ClientHttp2Session => {
  const session = connect(url, { maxSessionMemory: SESSION_MB, settings: { initialWindowSize: WINDOW_BYTES, enablePush: false } });
  session.once('connect', () => {
    // It may have been given up meanwhile.
    if (!session.destroyed) session.setLocalWindowSize(WINDOW_BYTES);
  });
  watch(session, pingMs);
  // The calls on it say what happened.
  session.on('error', () => {});
  return session;
};

/** @param path with what the address of the core begins with @param body undefined for a GET @throws Error of the connection, or that the answer ended too early */
export const call = (
  session: ClientHttp2Session,
  path: string,
  body: string | undefined,
  token: string,
  signal: AbortSignal,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const more = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const method = body === undefined ? 'GET' : 'POST';
    const stream = session.request({ ':method': method, ':path': path, authorization: `Bearer ${token}`, ...more }, { signal });
    const pieces: Buffer[] = [];
    let bytes = 0;
    let status: number | undefined;
    let length: number | undefined;
    stream.on('response', (headers) => {
      status = headers[':status'];
      length = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
    });
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > ANSWER_BYTES) stream.destroy(new Error(`an answer of more than ${ANSWER_BYTES} bytes`));
      else pieces.push(piece);
    });
    stream.on('end', () => {
      const isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR && (length === undefined || length === bytes);
      if (status !== undefined && isWhole) resolve({ status, bytes: Buffer.concat(pieces) });
    });
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('the connection ended before the answer')));
    stream.end(body);
  });
