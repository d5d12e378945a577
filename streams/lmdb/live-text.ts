// Live text between the processes on one directory, over unix sockets. Nothing is written to the disk, and nothing is sent that nobody follows.
//
// L1. Each process keeps what it said itself. Who follows a task asks all of them, each over a connection of its own: first what was said, then what follows.
// L2. A follower sees nothing before all have told what was said, or REPLAY_WAIT_MS are over: what several processes said is put in order. L3. A process
// that comes later calls the others, and is asked by those who follow. L4. What was said by a process that is gone is gone for who comes late (T1).
import type { Socket } from 'node:net';
import { openLiveReplay } from '../live-replay.js';
import { FOLLOWER_CHARS, followUntil, type LiveChunk, type LiveFollower, type LiveText } from '../live-text.js';
import { type Meeting, openMeeting } from './meeting.js';

/** How long a follower waits for what others said before, milliseconds: one of them may be stopped. */
const REPLAY_WAIT_MS = 300;
/** What a follower's process may leave unread, in bytes; pieces above it are lost to it. */
const UNREAD_BYTES = 4 * FOLLOWER_CHARS;
/** Longest line between two processes, in UTF-16 code units; a piece that escapes to more is a hole. */
const LINE_CHARS = 1024 * 1024;
const TASK = /^[^\n]{1,256}$/;
const ASK = '?';
const HELLO = '+';

const onLines = (socket: Socket, take: (line: string) => void): void => {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop()!;
    if (rest.length > LINE_CHARS) socket.destroy();
    for (const line of lines) take(line);
  });
};

const quietly = (socket: Socket): Socket => {
  socket.unref();
  return socket.on('error', () => socket.destroy());
};

/** Undefined where another version of this program says something else. */
const chunkOf = (line: string): LiveChunk | undefined => {
  try {
    return JSON.parse(line) as LiveChunk;
  } catch {
    return undefined;
  }
};

const byPlace = (a: LiveChunk, b: LiveChunk): number => a.attempt - b.attempt || a.seq - b.seq;
/** Without what goes back (T2): a process that said it late is not to be believed. */
const rising = (chunks: readonly LiveChunk[]): LiveChunk[] => {
  let last: LiveChunk | undefined;
  return chunks.filter((chunk) => {
    const rises = last === undefined || byPlace(last, chunk) < 0;
    if (rises) last = chunk;
    return rises;
  });
};

interface Following {
  readonly take: (chunk: LiveChunk) => void;
  /** Asks one more process. */
  ask(name: string): void;
  end(): void;
}

/** A follower with its connections to the other processes. `own`: what this process said. */
const openFollowing = (taskId: string, follower: LiveFollower, own: readonly LiveChunk[], meeting: Meeting | undefined): Following => {
  const round = follower.hold();
  /** By each process, in its order. */
  const said: LiveChunk[][] = [[...own]];
  const asked = new Set<string>();
  const untold = new Set<string>();
  const sockets = new Set<Socket>();
  let told = false;
  let over = false;
  const tell = (): void => {
    if (told || over) return;
    told = true;
    clearTimeout(late);
    follower.replay(round, said.flatMap(rising).sort(byPlace));
  };
  const late = setTimeout(tell, REPLAY_WAIT_MS);
  late.unref();
  const heardAll = (name: string): void => {
    untold.delete(name);
    if (untold.size === 0) tell();
  };
  const hear = (name: string, socket: Socket): void => {
    if (over) return void quietly(socket).destroy();
    sockets.add(quietly(socket));
    socket.on('close', () => {
      sockets.delete(socket);
      heardAll(name);
    });
    let replaying = true;
    const theirs: LiveChunk[] = [];
    said.push(theirs);
    onLines(socket, (line) => {
      if (line === '') {
        replaying = false;
        heardAll(name);
        return;
      }
      const chunk = chunkOf(line);
      if (chunk === undefined) socket.destroy();
      else if (replaying && !told) theirs.push(chunk);
      else follower.take(chunk);
    });
    socket.write(`${ASK}${taskId}\n`);
  };
  const following: Following = {
    take: (chunk) => follower.take(chunk),
    ask: (name) => {
      if (over || meeting === undefined || asked.has(name)) return;
      asked.add(name);
      untold.add(name);
      meeting.call(
        name,
        (socket) => hear(name, socket),
        () => heardAll(name),
      );
    },
    end: () => {
      over = true;
      clearTimeout(late);
      follower.end();
      for (const socket of sockets) socket.destroy();
    },
  };
  for (const name of meeting?.others() ?? []) following.ask(name);
  if (untold.size === 0) tell();
  return following;
};

export interface LmdbLiveTextOptions {
  /** The log's directory. */
  readonly dir: string;
  /** Milliseconds, never backwards; default: the process's monotonic clock. */
  readonly now?: () => number;
}

interface Listener {
  readonly take: (chunk: LiveChunk) => void;
}

export const openLmdbLiveText = async ({ dir, now = () => performance.now() }: LmdbLiveTextOptions): Promise<LiveText> => {
  const said = openLiveReplay(now);
  const listeners = new Map<string, Set<Listener>>();
  const followings = new Map<LiveFollower, Following>();
  const callers = new Set<Socket>();
  let closed = false;

  const add = (taskId: string, listener: Listener): void => void listeners.set(taskId, (listeners.get(taskId) ?? new Set()).add(listener));
  const remove = (taskId: string, listener: Listener): void => {
    const all = listeners.get(taskId);
    all?.delete(listener);
    if (all?.size === 0) listeners.delete(taskId);
  };

  /** Tells a follower of another process what this one said and says (L1). */
  const tell = (socket: Socket, taskId: string): void => {
    const take = (chunk: LiveChunk): void => {
      if (socket.writable && socket.writableLength < UNREAD_BYTES) socket.write(`${JSON.stringify(chunk)}\n`);
    };
    const listener = { take };
    for (const chunk of said.of(taskId)) take(chunk);
    socket.write('\n');
    add(taskId, listener);
    socket.on('close', () => remove(taskId, listener));
  };
  const answer = (socket: Socket): void => {
    if (closed) return void quietly(socket).destroy();
    callers.add(quietly(socket));
    socket.on('close', () => callers.delete(socket));
    let asked = false;
    onLines(socket, (line) => {
      if (line.startsWith(HELLO)) for (const following of followings.values()) following.ask(line.slice(HELLO.length));
      else if (line.startsWith(ASK) && !asked) {
        asked = true;
        tell(socket, line.slice(ASK.length));
      } else socket.destroy();
    });
  };
  const meeting = await openMeeting(dir, 'live', answer);
  // Those who follow already learn that there is one more to ask (L3).
  if (meeting?.own !== undefined)
    for (const name of meeting.others()) meeting.call(name, (socket) => quietly(socket).end(`${HELLO}${meeting.own}\n`));

  const join = (taskId: string, follower: LiveFollower): void => {
    if (closed) return follower.end();
    const following = openFollowing(taskId, follower, said.of(taskId), TASK.test(taskId) ? meeting : undefined);
    followings.set(follower, following);
    add(taskId, following);
  };
  const leave = (taskId: string, follower: LiveFollower): void => {
    const following = followings.get(follower);
    if (following === undefined) return;
    followings.delete(follower);
    remove(taskId, following);
    following.end();
  };

  return {
    publish: (taskId, chunk) => {
      if (closed) return;
      const own = { ...chunk };
      said.remember(taskId, own);
      for (const listener of listeners.get(taskId) ?? []) listener.take(own);
    },
    follow: (taskId, signal) =>
      followUntil(
        signal,
        (follower) => join(taskId, follower),
        (follower) => leave(taskId, follower),
      ),
    close: async () => {
      if (closed) return;
      closed = true;
      said.clear();
      for (const following of followings.values()) following.end();
      for (const socket of callers) socket.destroy();
      await meeting?.close();
    },
  };
};
