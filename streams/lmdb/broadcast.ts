// Words between the processes on one directory, over unix sockets. Nothing is written to the disk.
//
// D1. A process says its words on connections that it made, and hears on those that others made: nobody hears a word twice (B1). D2. Who comes calls all that
// are there and tells its name; who hears that calls back. A connection that breaks is made again as long as the other one is there. D3. Opening waits
// until words go both ways, OPEN_MS at most: one of the others may be stopped. D4. Where sockets do not work a process is alone, and nothing fails.
// D5. A process that does not keep up loses what comes when it has UNREAD_BYTES unread, and holds up nobody. D6. Words of several are heard in the order in
// which they were said (word-order.ts), but for those that one which does not keep up could not take within UNTAKEN_MS.
import type { Socket } from 'node:net';
import type { Broadcast } from '../broadcast.js';
import { Listeners } from '../listeners.js';
import { within } from '../within.js';
import { type Meeting, openMeeting } from './meeting.js';
import { openWordOrder, type Speaker, type WordOrder } from './word-order.js';

/** What a process may leave unread, in bytes. */
export const UNREAD_BYTES = 64 * 1024 * 1024;
/** Longest line between two processes, in bytes of UTF-8; a longer word is lost. */
const LINE_BYTES = 64 * 1024 * 1024;
/** How long opening waits for the others, in milliseconds. */
const OPEN_MS = 1_000;
/** How long a word waits for a process that does not take it, in milliseconds; after that nobody waits for this process until it has taken all. */
const UNTAKEN_MS = 300;
/** When a connection that broke is made again, in milliseconds. */
const AGAIN_MS = 1_000;
const NEWLINE = 10;

const quietly = (socket: Socket): Socket => {
  socket.unref();
  return socket.on('error', () => socket.destroy());
};

const onLines = (socket: Socket, take: (line: string) => void): void => {
  let begun: Buffer[] = [];
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1 && !socket.destroyed; end = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...begun, chunk.subarray(from, end)]).toString();
      begun = [];
      bytes = 0;
      from = end + 1;
      take(line);
    }
    begun.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > LINE_BYTES) socket.destroy();
  });
};

/** Undefined where it is no JSON: another version of this program may say something else. */
const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};

/** One line; undefined where it is too long. `at`: see word-order.ts. */
const lineOf = (at: number, channel: string, message: string): Buffer | undefined => {
  if (channel.length + message.length > LINE_BYTES) return undefined;
  const line = Buffer.from(`${JSON.stringify([at, channel, message])}\n`);
  return line.length > LINE_BYTES ? undefined : line;
};

const isWord = (said: unknown): said is [at: number, channel: string, message: string] =>
  Array.isArray(said) && Number.isFinite(said[0]) && typeof said[1] === 'string' && typeof said[2] === 'string';

/** A process that words are said to. */
class Peer {
  readonly #socket: Socket;
  readonly #untaken = new Set<() => void>();
  #late: NodeJS.Timeout | undefined;
  #isBehind = false;

  constructor(socket: Socket) {
    this.#socket = quietly(socket).resume();
  }

  /** Resolves when the word lies where the other one reads it, or is lost, or the other one is behind (D6). */
  say(line: Buffer): Promise<void> | undefined {
    const socket = this.#socket;
    if (!socket.writable || socket.writableLength > UNREAD_BYTES) return undefined;
    const taken = new Promise<void>((resolve) => {
      const isTaken = (): void => {
        this.#untaken.delete(resolve);
        resolve();
        if (this.#untaken.size === 0) this.#keepsUp();
      };
      this.#untaken.add(resolve);
      socket.write(line, isTaken);
    });
    if (this.#isBehind) return undefined;
    this.#late ??= setTimeout(() => this.#fallsBehind(), UNTAKEN_MS).unref();
    return taken;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #keepsUp(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#isBehind = false;
  }

  #fallsBehind(): void {
    this.#isBehind = true;
    for (const resolve of this.#untaken) resolve();
  }
}

/** The connections to and from the others (D1, D2). */
class Company {
  readonly peers = new Map<string, Peer>();
  readonly #callers = new Set<Socket>();
  /** Called, or being called. */
  readonly #called = new Set<string>();
  /** Those who told their names on a connection that is still there. */
  readonly #heardFrom = new Set<string>();
  readonly #order: WordOrder;
  /** Those that were there before; empty once words go both ways. */
  readonly #awaited = new Set<string>();
  #meeting: Meeting | undefined;
  #allMet = (): void => {};
  #closed = false;

  constructor(order: WordOrder) {
    this.#order = order;
  }

  async enter(dir: string): Promise<void> {
    this.#meeting = await openMeeting(dir, 'words', (socket) => this.#greet(socket)).catch(() => undefined);
    const others = this.#meeting?.others() ?? [];
    if (others.length === 0) return;
    for (const name of others) this.#awaited.add(name);
    const met = new Promise<void>((resolve) => {
      this.#allMet = resolve;
    });
    for (const name of others) this.#call(name);
    await within(OPEN_MS, met);
  }

  async leave(): Promise<void> {
    this.#closed = true;
    for (const one of [...this.#callers, ...this.peers.values()]) one.destroy();
    await this.#meeting?.close();
  }

  #call(name: string): void {
    if (this.#closed || this.#called.has(name) || name === this.#meeting?.own) return;
    this.#called.add(name);
    this.#meeting?.call(
      name,
      (socket) => this.#meet(name, socket),
      () => this.#lose(name),
    );
  }

  #meet(name: string, socket: Socket): void {
    const peer = new Peer(socket);
    if (this.#closed) return peer.destroy();
    socket.once('close', () => this.#lose(name));
    socket.write(`${JSON.stringify(this.#meeting?.own ?? null)}\n`);
    this.peers.set(name, peer);
    this.#look(name);
  }

  #lose(name: string): void {
    this.peers.delete(name);
    this.#called.delete(name);
    this.#arrived(name);
    if (this.#closed) return;
    const again = (): void => {
      if (this.#meeting?.others().includes(name)) this.#call(name);
    };
    setTimeout(again, AGAIN_MS).unref();
  }

  #greet(socket: Socket): void {
    quietly(socket);
    if (this.#closed) return void socket.destroy();
    this.#callers.add(socket);
    let speaker: Speaker | undefined;
    socket.once('close', () => this.#callers.delete(socket));
    socket.on('data', () => speaker?.stirs());
    onLines(socket, (line) => {
      const said = parsed(line);
      if (speaker !== undefined) {
        if (isWord(said)) speaker.says(...said);
      } else if (said === null || typeof said === 'string') {
        speaker = this.#order.enters();
        socket.once('close', speaker.leaves);
        if (said !== null) this.#hear(said, socket);
      } else socket.destroy();
    });
  }

  #hear(name: string, socket: Socket): void {
    this.#heardFrom.add(name);
    socket.once('close', () => this.#heardFrom.delete(name));
    this.#call(name);
    this.#look(name);
  }

  /** Do words go both ways? Without a socket of its own a process cannot be told anything. */
  #look(name: string): void {
    if (this.peers.has(name) && (this.#heardFrom.has(name) || this.#meeting?.own === undefined)) this.#arrived(name);
  }

  #arrived(name: string): void {
    if (this.#awaited.delete(name) && this.#awaited.size === 0) this.#allMet();
  }
}

export interface LmdbBroadcastOptions {
  /** The log's directory. */
  readonly dir: string;
}

/** When it resolves, words go to and come from all processes that were there before (D3). Never rejects. */
export const openLmdbBroadcast = async ({ dir }: LmdbBroadcastOptions): Promise<Broadcast> => {
  const listeners = new Listeners();
  const order = openWordOrder((channel, message) => listeners.tell(channel, message));
  const company = new Company(order);
  await company.enter(dir);
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  const publish = async (channel: string, message: string): Promise<void> => {
    if (closing !== undefined || company.peers.size === 0) return;
    const line = lineOf(order.now(), channel, message);
    if (line === undefined) return;
    const taken = Promise.all([...company.peers.values()].map((peer) => peer.say(line)));
    underWay.add(taken);
    await taken;
    underWay.delete(taken);
  };
  const close = async (): Promise<void> => {
    listeners.clear();
    await Promise.all(underWay);
    await company.leave();
  };
  return {
    publish,
    subscribe: (channel, heard) => (closing === undefined ? listeners.add(channel, heard) : () => {}),
    close: () => (closing ??= close()),
  };
};
