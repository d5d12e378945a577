// A keep-alive HTTP/1.1 connection that asks one thing at a time: as little client as possible beside the server that is measured.
import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** One request as the load generator sends it. */
export type Request = readonly [method: string, path: string, body?: string];

export class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
      this.#parse();
    });
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.on('close', () => this.#waiting?.reject(new Error('the server closed the connection')));
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
      socket.on('error', reject);
    });
  }

  #parse(): void {
    const head = this.#received.indexOf('\r\n\r\n');
    if (head < 0 || this.#waiting === undefined) return;
    const lines = this.#received.toString('latin1', 0, head).toLowerCase();
    const length = Number(/content-length: *(\d+)/.exec(lines)?.[1] ?? 0);
    const end = head + 4 + length;
    if (this.#received.length < end) return;
    const body = this.#received.toString('utf8', head + 4, end);
    this.#received = this.#received.subarray(end);
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve({ status: Number(lines.slice(9, 12)), body });
  }

  /** @throws Error when the connection breaks. */
  ask([method, path, body]: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const content = body === undefined ? '' : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
      this.#socket.write(`${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${content}\r\n${body ?? ''}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
