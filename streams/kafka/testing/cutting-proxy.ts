// A TCP proxy in front of one broker that cuts a connection in the middle of the end of a transaction.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';

const END_TXN = 26;

/** What is lost: the request, which the broker never sees, or its answer, after the broker has carried it out. */
export type Lost = 'answer' | 'request';

/** Clients must come back to it whatever address the broker gives them. */
export class CuttingProxy {
  /** Connections that were cut so far. */
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #losing: Lost | undefined;

  private constructor(upstream: { readonly host: string; readonly port: number }) {
    this.#server = createServer((near) => this.#join(near, createConnection(upstream)));
  }

  /** `broker`: `host:port`. Listens on a free port of 127.0.0.1. */
  static async open(broker: string): Promise<CuttingProxy> {
    const at = broker.lastIndexOf(':');
    const proxy = new CuttingProxy({ host: broker.slice(0, at), port: Number(broker.slice(at + 1)) });
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** At the next end of a transaction the connection is cut, once. */
  loseNext(what: Lost): void {
    this.#losing = what;
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket, far: Socket): void {
    this.#pair(near, far);
    this.#pair(far, near);
    let awaited: number | undefined;
    const cut = () => {
      this.cuts += 1;
      near.destroy();
    };
    eachFrame(near, (frame) => {
      if (frame.readInt16BE(4) === END_TXN && this.#losing !== undefined) {
        const lost = this.#losing;
        this.#losing = undefined;
        if (lost === 'request') return cut();
        awaited = frame.readInt32BE(8);
      }
      far.write(frame);
    });
    eachFrame(far, (frame) => {
      if (frame.readInt32BE(4) === awaited) cut();
      else near.write(frame);
    });
  }

  #pair(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      other.destroy();
    });
  }
}

/** Kafka's frames: four bytes of length, then so many more. A request goes on with its api key (2), version (2) and number (4), an answer with its number. */
const eachFrame = (socket: Socket, take: (frame: Buffer) => void): void => {
  let held = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (!socket.destroyed && held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
      const length = 4 + held.readInt32BE(0);
      take(held.subarray(0, length));
      held = held.subarray(length);
    }
  });
};
