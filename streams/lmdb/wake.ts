// Tells the other processes on the same directory that something was committed: one byte over unix sockets.
//
// W1. Only a hint: who misses one sees the change at the next poll. W2. Never blocks and never fails the log; where sockets do not work, the poll
// alone is left. W3. Nothing here keeps a process alive.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The shortest limit of a unix socket path on the systems we run on is 104 bytes. */
const SOCKET_PATH_BYTES = 100;
/** A peer that has this many pokes unread needs no more of them. */
const UNREAD_POKES = 64;
const POKE = Buffer.from([1]);

export interface Wake {
  /** Pokes all other processes. */
  poke(): void;
  close(): Promise<void>;
}

/** `woken` is called after another process has committed, at most once per turn of the event loop. */
export const openWake = async (dir: string, woken: () => void): Promise<Wake> => {
  const folder = socketFolder(dir);
  const peers = new Set<Socket>();
  if (folder === undefined) return { poke: () => undefined, close: async () => undefined };
  let pending = false;
  let closed = false;
  const heard = () => {
    if (pending || closed) return;
    pending = true;
    setImmediate(() => {
      pending = false;
      if (!closed) woken();
    });
  };
  const greet = (socket: Socket) => {
    socket.unref();
    socket.on('data', heard);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => peers.delete(socket));
    peers.add(socket);
  };

  const own = `${randomBytes(6).toString('hex')}.sock`;
  const server = await listen(join(folder, own), greet);
  for (const name of readdirSync(folder)) if (name.endsWith('.sock') && name !== own) call(join(folder, name), greet);

  return {
    poke: () => {
      for (const peer of peers) if (peer.writable && peer.writableLength < UNREAD_POKES) peer.write(POKE);
    },
    close: async () => {
      closed = true;
      for (const peer of peers) peer.destroy();
      if (server !== undefined) await new Promise<void>((done) => server.close(() => done()));
      rmSync(join(folder, own), { force: true });
    },
  };
};

/** Where the sockets lie: in the log's directory or, where its path is too long, in the system's. */
const socketFolder = (dir: string): string | undefined => {
  const near = join(resolve(dir), 'wake');
  const digest = createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 16);
  const far = join(tmpdir(), `dats-wake-${digest}`);
  const folder = [near, far].find((candidate) => Buffer.byteLength(candidate) + '/000000000000.sock'.length <= SOCKET_PATH_BYTES);
  if (folder === undefined) return undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
};

const listen = (path: string, greet: (socket: Socket) => void): Promise<Server | undefined> =>
  new Promise((done) => {
    const server = createServer(greet);
    server.unref();
    server.once('error', () => done(undefined));
    server.listen(path, () => done(server));
  });

/** Connects to a peer; the socket of a process that is gone is removed. */
const call = (path: string, greet: (socket: Socket) => void): void => {
  const socket = connect(path);
  socket.unref();
  socket.once('connect', () => greet(socket));
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') rmSync(path, { force: true });
  });
};
