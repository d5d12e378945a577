// A keep-alive connection that asks for chat completions, one at a time: whole answers and streamed ones, with the time of the first words. As little client
// as possible beside the servers that are measured; `fetch` would cost as much as they do.
import { connect, type Socket } from 'node:net';

export interface ChatReply {
  readonly status: number;
  /** Decoded, as it came. */
  readonly body: string;
  /** Milliseconds from the request to the first piece with words, and to the end. */
  readonly firstMs: number;
  readonly totalMs: number;
}

export interface ChatRequest {
  readonly path: string;
  /** JSON. */
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Words, not the empty text that opens a stream. */
const WORDS = /"content": ?"[^"]/;

/** Bytes of one answer, as they come, to what they say. */
export class AnswerParser {
  #rest = '';
  /** Bytes that the body or the current chunk still needs; undefined: the head, or the size of a chunk, comes next. */
  #missing: number | undefined;
  #chunked = false;
  #headDone = false;
  #body = '';
  status = 0;

  get body(): string {
    return this.#body;
  }

  /** True when the answer is complete. @param text latin1, so that a character is a byte */
  push(text: string): boolean {
    this.#rest += text;
    if (!this.#headDone && !this.#takeHead()) return false;
    if (!this.#chunked) return this.#takeBytes();
    for (;;) {
      if (this.#missing === undefined) {
        const line = this.#rest.indexOf('\r\n');
        if (line < 0) return false;
        this.#missing = Number.parseInt(this.#rest.slice(0, line), 16);
        this.#rest = this.#rest.slice(line + 2);
      }
      const last = this.#missing === 0;
      // The bytes of a chunk are followed by a line end, those of the last one too.
      if (this.#rest.length < this.#missing + 2) return false;
      this.#body += this.#rest.slice(0, this.#missing);
      this.#rest = this.#rest.slice(this.#missing + 2);
      this.#missing = undefined;
      if (last) return true;
    }
  }

  #takeHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#rest.slice(0, end).toLowerCase();
    this.status = Number(head.slice(9, 12));
    this.#chunked = /transfer-encoding: *chunked/.test(head);
    if (!this.#chunked) this.#missing = Number(/content-length: *(\d+)/.exec(head)?.[1] ?? 0);
    this.#rest = this.#rest.slice(end + 4);
    this.#headDone = true;
    return true;
  }

  #takeBytes(): boolean {
    this.#body += this.#rest;
    this.#missing! -= this.#rest.length;
    this.#rest = '';
    return this.#missing! <= 0;
  }
}

interface Waiting {
  readonly parser: AnswerParser;
  readonly sent: number;
  first: number | undefined;
  readonly onWords: (() => void) | undefined;
  readonly resolve: (reply: ChatReply) => void;
  readonly reject: (error: Error) => void;
}

export class ChatConnection {
  readonly #socket: Socket;
  readonly #port: number;
  #waiting: Waiting | undefined;

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.#take(String(text)));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error(`the server on port ${port} closed the connection`)));
  }

  static open(port: number): Promise<ChatConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
        socket.off('error', reject);
        resolve(new ChatConnection(socket, port));
      });
      socket.on('error', reject);
    });
  }

  /** False when it was closed, by either side. */
  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  #take(text: string): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const at = performance.now();
    const done = waiting.parser.push(text);
    if (waiting.first === undefined && WORDS.test(waiting.parser.body)) waiting.first = at;
    if (done) {
      this.#waiting = undefined;
      const { status, body } = waiting.parser;
      waiting.resolve({ status, body, firstMs: (waiting.first ?? at) - waiting.sent, totalMs: at - waiting.sent });
    } else if (waiting.first !== undefined) waiting.onWords?.();
  }

  /**
   * @param onWords called with every piece once words have come, before the end
   * @throws Error when the connection breaks, or is closed from `onWords`
   */
  ask({ path, body, headers = {} }: ChatRequest, onWords?: () => void): Promise<ChatReply> {
    const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${this.#port}\r\ncontent-type: application/json\r\n${own.join('')}`;
    return new Promise((resolve, reject) => {
      this.#waiting = { parser: new AnswerParser(), sent: performance.now(), first: undefined, onWords, resolve, reject };
      this.#socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
