// Where the processes on one directory find each other: a folder with a unix socket of each.
//
// M1. Where sockets do not work there is no meeting, and nothing fails. M2. Nothing here keeps a process alive. M3. The socket of a process that is gone is
// removed by whoever calls it.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The shortest limit of a unix socket path on the systems we run on is 104 bytes. */
const SOCKET_PATH_BYTES = 100;
const NAME = /^[0-9a-f]{12}\.sock$/;

export interface Meeting {
  /** The name of this process's socket; undefined where it could not be opened. */
  readonly own: string | undefined;
  /** The names of all others that are or were there. */
  others(): readonly string[];
  /** Connects to another one: then `met`, or, where it is gone or no name, `gone`. */
  call(name: string, met: (socket: Socket) => void, gone?: () => void): void;
  close(): Promise<void>;
}

/** Where the sockets lie: in the log's directory or, where its path is too long, in the system's. */
const folderOf = (dir: string, purpose: string): string | undefined => {
  const near = join(resolve(dir), purpose);
  const digest = createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 16);
  const far = join(tmpdir(), `dats-${purpose}-${digest}`);
  const folder = [near, far].find((candidate) => Buffer.byteLength(candidate) + '/000000000000.sock'.length <= SOCKET_PATH_BYTES);
  if (folder === undefined) return undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
};

/** None where the folder is gone (M1). */
const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder).filter((name) => NAME.test(name));
  } catch {
    return [];
  }
};

const listen = (path: string, greet: (socket: Socket) => void): Promise<Server | undefined> =>
  new Promise((done) => {
    const server = createServer(greet);
    server.unref();
    server.once('error', () => done(undefined));
    server.listen(path, () => done(server));
  });

/**
 * @param purpose name of the folder in `dir`
 * @param greet gets the sockets of those who call
 * @returns undefined where paths are too long for sockets
 */
export const openMeeting = async (dir: string, purpose: string, greet: (socket: Socket) => void): Promise<Meeting | undefined> => {
  const folder = folderOf(dir, purpose);
  if (folder === undefined) return undefined;
  const own = `${randomBytes(6).toString('hex')}.sock`;
  const server = await listen(join(folder, own), greet);
  return {
    own: server === undefined ? undefined : own,
    others: () => namesIn(folder).filter((name) => name !== own),
    call: (name, met, gone) => {
      if (!NAME.test(name)) return gone?.();
      const path = join(folder, name);
      const socket = connect(path);
      socket.unref();
      const failed = (error: NodeJS.ErrnoException): void => {
        if (error.code === 'ECONNREFUSED') rmSync(path, { force: true });
        gone?.();
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        socket.off('error', failed);
        met(socket);
      });
    },
    close: async () => {
      if (server !== undefined) await new Promise<void>((done) => server.close(() => done()));
      rmSync(join(folder, own), { force: true });
    },
  };
};
