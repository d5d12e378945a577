// A line between two processes that a test can cut, in all the ways in which lines fail: TCP from a port of its own to another one.
//
// X1. Whatever is done to it, the line can come back: `pass` restores it for new connections. X2. A connection that fell into a hole stays there until an end gives up
// on it, as behind a NAT that forgot it.
import { connect, createServer, type Server, type Socket } from 'node:net';

/** How connections end: with a reset, or in order. */
export type Cut = 'rst' | 'fin';
/** What the line swallows: everything, or only what comes back. */
export type Hole = 'both' | 'answers';

export interface CuttableProxy {
  readonly port: number;
  readonly url: string;
  /** From now on the line is well. */
  pass(): Promise<void>;
  /** Ends all connections; new ones are as before. */
  cut(how: Cut): void;
  /** Nobody listens, and connections are reset. */
  refuse(): Promise<void>;
  /** Connections are taken, and nothing comes out: not of new ones, and not of those that there are. */
  swallow(what: Hole): void;
  /** Every piece takes so much longer, each way; milliseconds. */
  delay(ms: number): void;
  /** Connections that were made so far. */
  readonly made: number;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  hole: Hole | undefined;
}

export const openProxy = async (target: number, port = 0): Promise<CuttableProxy> => {
  const pairs = new Set<Pair>();
  let hole: Hole | undefined;
  let delayMs = 0;
  let made = 0;
  let server: Server | undefined;

  /** In order, whatever the delays: timers of one length end in the order of their start. */
  const after = (act: () => void): void => void (delayMs === 0 ? act() : setTimeout(act, delayMs));
  const end = ({ near, far }: Pair, how: Cut): void => {
    for (const socket of [near, far]) {
      if (how === 'rst') socket.resetAndDestroy();
      else socket.end();
    }
  };
  const accept = (near: Socket): void => {
    made += 1;
    const pair: Pair = { near, far: connect(target, '127.0.0.1'), hole };
    const { far } = pair;
    pairs.add(pair);
    const gone = (other: Socket) => (): void => {
      // What fell into a hole does not hear of the other end's end either.
      if (pair.hole === undefined) other.destroy();
      if (near.destroyed && far.destroyed) pairs.delete(pair);
    };
    near.on('error', () => undefined).on('close', gone(far));
    far.on('error', () => undefined).on('close', gone(near));
    near.on('data', (piece) => pair.hole !== 'both' && after(() => pair.hole !== 'both' && far.write(piece)));
    far.on('data', (piece) => pair.hole === undefined && after(() => pair.hole === undefined && near.write(piece)));
    near.on('end', () => (pair.hole === undefined ? after(() => far.end()) : near.destroy()));
    far.on('end', () => (pair.hole === undefined ? after(() => near.end()) : far.destroy()));
  };
  const listen = async (): Promise<void> => {
    if (server !== undefined) return;
    const made = createServer({ allowHalfOpen: true }, accept);
    await new Promise<void>((resolve, reject) => made.once('error', reject).listen(port, '127.0.0.1', resolve));
    server = made;
    port = (made.address() as { port: number }).port;
  };
  const deafen = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    const closed = closing === undefined ? undefined : new Promise((resolve) => closing.close(resolve));
    for (const pair of pairs) end(pair, 'rst');
    await closed;
  };
  await listen();
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    get made() {
      return made;
    },
    pass: async () => {
      hole = undefined;
      delayMs = 0;
      await listen();
    },
    cut: (how) => {
      for (const pair of pairs) end(pair, how);
    },
    refuse: deafen,
    swallow: (what) => {
      hole = what;
      for (const pair of pairs) pair.hole = what;
    },
    delay: (ms) => {
      delayMs = ms;
    },
    close: async () => {
      hole = undefined;
      await deafen();
    },
  };
};
