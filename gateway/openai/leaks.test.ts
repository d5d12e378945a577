// Many streams, half of them left in the middle: nothing of them stays.
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { serve } from './testing/served.js';

const REQUESTS = 300;
const WARM_UP = 40;
/** What the heap may grow by: compiled code, and what the test records. Of requests that were kept the prompts alone would be 7 MB. */
const GROWTH_BYTES = 3 * 1024 * 1024;
const PROMPT = 'x'.repeat(50_000);
const LEAVE = 'leave in the middle';

/** What is in use. Node's fetch lets go of its signals in finalizers, which run between turns of the loop. */
const heapInUse = async (): Promise<number> => {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return process.memoryUsage().heapUsed;
};
const openSockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

const chunk = (delta: object, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

/** A model server that keeps nothing: it answers whole, or goes on until it is left. */
const openModel = async () => {
  let running = 0;
  let left = 0;
  const goOn = (response: ServerResponse): void => {
    if (response.destroyed) return;
    response.write(chunk({ content: 'more ' }));
    setImmediate(goOn, response);
  };
  const server = createServer(async (incoming, response) => {
    let body = '';
    for await (const piece of incoming) body += piece;
    if (incoming.url !== '/v1/chat/completions') return void response.end('{"object":"list","data":[]}');
    running += 1;
    response.on('close', () => {
      running -= 1;
      if (!response.writableFinished) left += 1;
    });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (body.includes(LEAVE)) goOn(response);
    else response.end(`${chunk({ content: 'all of it' })}${chunk({}, 'stop')}data: [DONE]\n\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    idle: async (): Promise<void> => {
      while (running > 0) await new Promise((resolve) => setImmediate(resolve));
    },
    left: () => left,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};

/** One streamed request on a connection of its own; `leaves` after its first piece. */
const streamOnce = (baseURL: string, leaves: boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request(`${baseURL}/chat/completions`, { method: 'POST', agent: false, headers }, (response) => {
      response.on('error', () => undefined);
      response.on('close', resolve);
      response.on('data', () => leaves && sent.destroy());
    });
    sent.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve() : reject(error)));
    sent.end(JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: leaves ? LEAVE : PROMPT }] }));
  });

it('300 streams, half of them aborted, leave no socket, no running call and a flat heap', async () => {
  const model = await openModel();
  const served = await serve({ config: { models: [{ id: 'm', runner: 'openai', base_url: model.url, tiers: ['small'] }] } });
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await streamOnce(served.baseURL, i % 2 === 0);
    await model.idle();
  };
  try {
    await run(WARM_UP);
    const [heap, sockets] = [await heapInUse(), openSockets()];
    await run(REQUESTS);
    const grown = (await heapInUse()) - heap;
    expect(grown).toBeLessThan(GROWTH_BYTES);
    expect(openSockets()).toBeLessThanOrEqual(sockets);
    const half = (REQUESTS + WARM_UP) / 2;
    expect(model.left()).toBe(half);
    const outcomes = served.calls.map(({ outcome }) => outcome);
    expect([outcomes.filter((one) => one === 'aborted').length, outcomes.filter((one) => one === 'ok').length]).toEqual([half, half]);
  } finally {
    await served.close();
    model.close();
  }
}, 120_000);
