// The model server of the gateway figures: OpenAI's wire, answers at once. Forked by model-upstream.ts, and by test/, so that it is a process of its own.
//
// Environment: UPSTREAM_CHUNKS (words of an answer, each a chunk of the streamed form), UPSTREAM_CHUNK_MS (between two chunks; 0: all at once),
// UPSTREAM_KEEP_ALIVE_MS (how long an idle connection is kept).
// Messages out: {port}, {counts} when asked. In: {counts: true}. It ends with whoever forked it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { UPSTREAM_MODEL } from './model-upstream.js';

export interface UpstreamCounts {
  /** Connections that are open now. */
  readonly connections: number;
  /** Answers that are being given now. */
  readonly running: number;
  /** Answers that were given to their end, and those whose reader left before. */
  readonly answered: number;
  readonly left: number;
}

const CHUNKS = Number(process.env.UPSTREAM_CHUNKS ?? 16);
const CHUNK_MS = Number(process.env.UPSTREAM_CHUNK_MS ?? 0);
const KEEP_ALIVE_MS = Number(process.env.UPSTREAM_KEEP_ALIVE_MS ?? 5_000);

const USAGE = { prompt_tokens: 120, completion_tokens: CHUNKS, total_tokens: 120 + CHUNKS };
const HEADING = { id: 'chatcmpl-upstream', created: 1_700_000_000, model: UPSTREAM_MODEL };

const words = Array.from({ length: CHUNKS }, (_, i) => `word${i} `);
const whole = JSON.stringify({
  ...HEADING,
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: words.join('') }, finish_reason: 'stop' }],
  usage: USAGE,
});
const frame = (rest: object): string => `data: ${JSON.stringify({ ...HEADING, object: 'chat.completion.chunk', ...rest })}\n\n`;
const delta = (content: object, finish_reason: string | null): string => frame({ choices: [{ index: 0, delta: content, finish_reason }] });
const pieces = words.map((content, i) => delta(i === 0 ? { role: 'assistant', content } : { content }, null));
const end = `${delta({}, 'stop')}${frame({ choices: [], usage: USAGE })}data: [DONE]\n\n`;

const sockets = new Set<Socket>();
let running = 0;
let answered = 0;
let left = 0;

const stream = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if (CHUNK_MS === 0) {
    for (const piece of pieces) response.write(piece);
    response.end(end);
    return;
  }
  let next = 0;
  const timer = setInterval(() => {
    const piece = pieces[next++];
    if (piece !== undefined) response.write(piece);
    else response.end(end);
  }, CHUNK_MS);
  response.once('close', () => clearInterval(timer));
};

const bodyOf = async (request: IncomingMessage): Promise<{ readonly stream?: boolean }> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as { readonly stream?: boolean };
};

const sendJson = (response: ServerResponse, text: string): void =>
  void response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    sendJson(response, JSON.stringify({ object: 'list', data: [{ id: UPSTREAM_MODEL, object: 'model' }] }));
    return;
  }
  running += 1;
  response.once('close', () => {
    running -= 1;
    if (response.writableFinished) answered += 1;
    else left += 1;
  });
  bodyOf(request).then(
    (body) => (body.stream === true ? stream(response) : sendJson(response, whole)),
    () => response.destroy(),
  );
});
server.keepAliveTimeout = KEEP_ALIVE_MS;
server.on('connection', (socket: Socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.on('message', () => {
  const counts: UpstreamCounts = { connections: sockets.size, running, answered, left };
  process.send?.({ counts });
});
process.on('disconnect', () => process.exit(0));
