// A client of server-sent events that notes when each event came: as little client as possible, so that a thousand fit beside the server.
import { connect, type Socket } from 'node:net';

/** Milliseconds since the epoch, with fractions. */
const nowMs = (): number => performance.timeOrigin + performance.now();
const TIME = /"time":"([^"]+)"/;

export class EventStream {
  readonly #socket: Socket;
  #rest = '';
  readonly #onEvent: (ageMs: number) => void;

  private constructor(socket: Socket, onEvent: (ageMs: number) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.on('error', () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.#take(String(text)));
  }

  /** Resolves when the head of the answer has come. `onEvent` gets each event's age at receipt: from the time it bears to its arrival, in milliseconds. */
  static open(port: number, path: string, onEvent: (ageMs: number) => void): Promise<EventStream> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(`the stream ${path} was closed before it began`)));
      const stream = new EventStream(socket, onEvent);
      socket.once('data', () => resolve(stream));
      socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`);
    });
  }

  #take(text: string): void {
    const at = nowMs();
    const all = this.#rest + text;
    const end = all.lastIndexOf('\n\n');
    this.#rest = end < 0 ? all : all.slice(end + 2);
    if (end < 0) return;
    for (const frame of all.slice(0, end).split('\n\n')) {
      const time = frame.includes('data: ') ? TIME.exec(frame)?.[1] : undefined;
      if (time !== undefined) this.#onEvent(at - Date.parse(time));
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
