// A line between two processes that a test can cut, in all the ways in which lines fail: TCP from a port of its own to another one, or to the first of several that
// takes the connection, as a load balancer does.
//
// X1. Whatever is done to it, the line can come back: `pass` restores it for new connections. X2. A connection that fell into a hole stays there until an end gives up
// on it, as behind a NAT that forgot it.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from './random.js';

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
  /** Where the newest connection leads to; undefined: there was none. */
  readonly target: number | undefined;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  /** Not there until one of the targets has taken it. */
  far: Socket | undefined;
  hole: Hole | undefined;
}

/** Undefined: nobody takes it. */
const connectionTo = (port: number): Promise<Socket | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket)).on('error', () => resolve(undefined));
  });

/** @param targets ports; a new connection goes to the first of them that takes it */
export const openProxy = async (targets: number | readonly number[], port = 0): Promise<CuttableProxy> => {
  const pairs = new Set<Pair>();
  let target: number | undefined;
  let hole: Hole | undefined;
  let delayMs = 0;
  let made = 0;
  let server: Server | undefined;

  /** In order, whatever the delays: timers of one length end in the order of their start. */
  const after = (act: () => void): void => void (delayMs === 0 ? act() : setTimeout(act, delayMs));
  const end = ({ near, far }: Pair, how: Cut): void => {
    for (const socket of [near, far]) {
      if (how === 'rst') socket?.resetAndDestroy();
      else socket?.end();
    }
  };
  const reach = async (): Promise<Socket | undefined> => {
    for (const one of [targets].flat()) {
      const socket = await connectionTo(one);
      if (socket === undefined) continue;
      target = one;
      return socket;
    }
    return undefined;
  };
  /** Nothing of the near end is read before. */
  const couple = (pair: Pair, far: Socket): void => {
    const { near } = pair;
    pair.far = far;
    far.on('close', gone(pair, near));
    near.on('data', (piece) => pair.hole !== 'both' && after(() => pair.hole !== 'both' && far.write(piece)));
    far.on('data', (piece) => pair.hole === undefined && after(() => pair.hole === undefined && near.write(piece)));
    near.on('end', () => (pair.hole === undefined ? after(() => far.end()) : near.destroy()));
    far.on('end', () => (pair.hole === undefined ? after(() => near.end()) : far.destroy()));
  };
  const gone = (pair: Pair, other?: Socket) => (): void => {
    // What fell into a hole does not hear of the other end's end either.
    if (pair.hole === undefined) (other ?? pair.far)?.destroy();
    if (pair.near.destroyed && (pair.far?.destroyed ?? true)) pairs.delete(pair);
  };
  const accept = (near: Socket): void => {
    made += 1;
    const pair: Pair = { near, far: undefined, hole };
    pairs.add(pair);
    near.on('error', () => undefined).on('close', gone(pair));
    void reach().then((far) => {
      if (far === undefined) near.destroy();
      else if (near.destroyed) far.destroy();
      else couple(pair, far);
    });
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
    get target() {
      return target;
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

const CUTS = ['rst', 'fin', 'hole', 'deaf', 'refuse', 'slow'] as const;

/** Cuts a line in some way, and lets it come back after so many milliseconds, drawn. @returns in which way */
export const cutOnce = async (line: CuttableProxy, random: Random, [least, most]: readonly [number, number]): Promise<string> => {
  const how = random.pick(CUTS);
  if (how === 'rst' || how === 'fin') line.cut(how);
  else if (how === 'refuse') await line.refuse();
  else if (how === 'slow') line.delay(random.int(20, 200));
  else line.swallow(how === 'hole' ? 'both' : 'answers');
  await pause(random.int(least, most));
  await line.pass();
  return how;
};
