// A way to a server that can go silent: connections stay open and new ones are taken, but nothing gets through. As a network that swallows packets.
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

export interface StallingProxy {
  readonly url: string;
  /** Connections taken so far. */
  readonly taken: number;
  /** Nothing gets through any more on the connections that there are, nor on those that come. */
  stall(): void;
  /** Connections that come from now on work. Those that were silent stay so. */
  resume(): void;
  close(): Promise<void>;
}

export const startStallingProxy = async (port: number): Promise<StallingProxy> => {
  const sockets = new Set<Socket>();
  const silent = new WeakSet<Socket>();
  let stalled = false;
  let taken = 0;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((near) => {
    taken++;
    const far = createConnection({ port, host: '127.0.0.1' });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      keep(from);
      if (stalled) silent.add(from);
      from.on('data', (bytes) => void (silent.has(from) || to.write(bytes)));
      from.on('close', () => to.destroy());
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as { port: number }).port}`,
    get taken() {
      return taken;
    },
    stall: () => {
      stalled = true;
      for (const socket of sockets) silent.add(socket);
    },
    resume: () => {
      stalled = false;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
