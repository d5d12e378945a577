// HTTP/1.1 and HTTP/2 in the clear, on one port: a client that speaks HTTP/2 says so with its first bytes (RFC 9113, section 3.4). The line of an edge node does, and so
// has one connection for all its calls.
//
// V1. Each connection belongs to one server, which sees all its bytes. V2. Whoever says nothing, or too little to tell, is cut off after `silentMs`. V3. So is a connection of HTTP/2
// on which nothing went either way for `idleMs`: the other end may be gone without a word, as behind a NAT that forgot it.
import type { Server } from 'node:http';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

/** Of the preface of HTTP/2. No method of HTTP/1.1 begins so. */
const PREFACE = Buffer.from('PRI ');

const tell = (socket: Socket, silentMs: number, told: (isHttp2: boolean) => void): void => {
  let held: Buffer = Buffer.alloc(0);
  const silent = setTimeout(() => socket.destroy(), silentMs);
  const broken = (): void => {};
  const look = (): void => {
    const bytes = socket.read() as Buffer | null;
    if (bytes === null) return;
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    const seen = Math.min(held.length, PREFACE.length);
    const isLike = held.compare(PREFACE, 0, seen, 0, seen) === 0;
    if (isLike && seen < PREFACE.length) return;
    clearTimeout(silent);
    socket.off('readable', look).off('error', broken);
    // V1.
    socket.unshift(held);
    told(isLike);
  };
  socket.on('error', broken).on('readable', look);
  socket.once('close', () => clearTimeout(silent));
};

/** Per stream, and of all streams of a connection: a batch on its way need not wait for anybody to say that its first part came. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export interface Http2Side {
  /** No new requests; running ones go on. */
  close(): void;
  /** Cuts all. */
  destroy(): void;
}

export interface Http2Options {
  /** V2. Milliseconds. */
  readonly silentMs: number;
  /** V3. Milliseconds. */
  readonly idleMs: number;
  readonly onConnection?: (socket: Socket) => void;
}

/** Connections of `server` that speak HTTP/2 go to `http2`, which listens nowhere itself. To be called before `server` listens. */
export const alsoSpeaks = (server: Server, http2: Http2Server, { silentMs, idleMs, onConnection }: Http2Options): Http2Side => {
  const [speakHttp1] = server.listeners('connection') as ((this: Server, socket: Socket) => void)[];
  server.off('connection', speakHttp1!);
  server.on('connection', (socket: Socket) =>
    tell(socket, silentMs, (isHttp2) => {
      if (!isHttp2) return speakHttp1!.call(server, socket);
      onConnection?.(socket);
      // Unlike HTTP/1.1, where one may end and be answered still: whoever ends this has gone.
      socket.allowHalfOpen = false;
      http2.emit('connection', socket);
    }),
  );
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => {
    if (session.destroyed) return;
    session.setLocalWindowSize(WINDOW_BYTES);
    session.setTimeout(idleMs, () => session.destroy());
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  http2.updateSettings({ initialWindowSize: WINDOW_BYTES });
  return {
    close: () => {
      for (const session of sessions) session.close();
    },
    destroy: () => {
      for (const session of sessions) session.destroy();
    },
  };
};
