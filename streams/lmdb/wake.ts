// Tells the other processes on the same directory that something was committed: one byte over unix sockets.
//
// W1. Only a hint: who misses one sees the change at the next poll. W2. Never blocks and never fails the log; where sockets do not work, the poll
// alone is left. W3. Nothing here keeps a process alive.
import type { Socket } from 'node:net';
import { openMeeting } from './meeting.js';

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
  const peers = new Set<Socket>();
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

  const meeting = await openMeeting(dir, 'wake', greet);
  for (const name of meeting?.others() ?? []) meeting?.call(name, greet);

  return {
    poke: () => {
      for (const peer of peers) if (peer.writable && peer.writableLength < UNREAD_POKES) peer.write(POKE);
    },
    close: async () => {
      closed = true;
      for (const peer of peers) peer.destroy();
      await meeting?.close();
    },
  };
};
