// Streams of /v1/chat/completions, a third of them left in the middle: nothing of them stays. The long form is `npm run bench -- P10m --full`, an hour.
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from './support/eventually.js';
import { type ModelUpstream, startUpstream } from './support/model-upstream.js';
import { freePort, type NodeProcess, ready, startProcess, testFolder, tidy } from './support/node-process.js';

const PROBE = new URL('../dist/bench/node-probe.js', import.meta.url);
const CHUNKS = 20;
const CHUNK_MS = 8;
/** The model server closes what is idle, so that a connection that stays is one that is held; not so soon that it closes what is about to be used again. */
const KEEP_ALIVE_MS = 8_000;
const CLIENTS = 16;
/** Until everything that grows once has grown: code, caches, pools, histograms. */
const FIRST = 300;
const MORE = 600;
/** A stream that leaves 4 kB is seen; what still grows once is a third of that. */
const BOUND_BYTES = 4_000 * MORE;
/** Of timers and the like: some come and go. Hundreds would be left if a stream left one. */
const COME_AND_GO = 8;
const SETTLED_MS = 60_000;

let upstream: ModelUpstream;
let node: NodeProcess;
let url: string;
let probe: string;
beforeEach(async () => {
  if (!existsSync(fileURLToPath(PROBE))) throw new Error(`${PROBE.pathname} is not there: run "npm run build" first`);
  upstream = await startUpstream(CHUNKS, CHUNK_MS, KEEP_ALIVE_MS);
  const [port, probePort] = [await freePort(), await freePort()];
  const folder = testFolder({
    version: 1,
    node: { id: 'streaming', data_dir: './data' },
    gateway: { port },
    models: [
      { id: 'm', runner: 'openai', base_url: upstream.url, model: 'upstream', tiers: ['small', 'medium', 'large'], concurrency: CLIENTS },
    ],
  });
  url = `http://127.0.0.1:${port}`;
  probe = `http://127.0.0.1:${probePort}`;
  node = startProcess(folder.config, [], {
    DATS_LOG_LEVEL: 'warn',
    NODE_OPTIONS: `--import=${PROBE.href}`,
    PROBE_PORT: String(probePort),
  });
  await ready(url, node);
});
afterEach(async (context) => {
  await tidy(context);
  await upstream.close();
});

/** @returns the text that came. @param leaveAfter pieces as the network gives them; then the connection is cut */
const stream = (leaveAfter: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const asking = request(`${url}/v1/chat/completions`, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } });
    let text = '';
    let pieces = 0;
    asking.once('error', reject);
    asking.once('response', (response) => {
      expect(response.statusCode).toBe(200);
      // A cut answer ends with an error too, which is what was wanted.
      response.on('error', (error) => (pieces >= leaveAfter ? undefined : reject(error)));
      response.once('close', () => resolve(text));
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        pieces += 1;
        if (pieces >= leaveAfter) asking.destroy();
      });
    });
    asking.end(JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] }));
  });

/** So many streams, a third of them left after their first, second ... sixth chunk. */
const streams = async (count: number): Promise<void> => {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      if (i % 3 === 0) await stream(1 + ((i / 3) % 6));
      else expect(await stream(Number.POSITIVE_INFINITY)).toContain('data: [DONE]');
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
};

interface Probed {
  readonly heapUsed: number;
  readonly resources: Readonly<Record<string, number>>;
}
const probed = async (): Promise<Probed> => (await fetch(`${probe}/memory`)).json() as Promise<Probed>;

const running = async (): Promise<number> => {
  const { models } = (await (await fetch(`${url}/api/v1/models`)).json()) as { readonly models: readonly { readonly running: number }[] };
  return models.reduce((sum, model) => sum + model.running, 0);
};

/** The node when nobody is connected but this look at it, and the one before that is closing, with no more than there was. Idle connections are closed by either side after some seconds. */
const quiet = (what: string, start?: Probed): Promise<Probed> =>
  eventually(`a node without more than it had, ${what}`, SETTLED_MS, async () => {
    const now = await probed();
    const more = Object.entries(now.resources).filter(
      ([kind, count]) => count > (kind === 'TCPSocketWrap' ? 2 : (start?.resources[kind] ?? count) + COME_AND_GO),
    );
    if (more.length > 0) throw new Error(`there are ${JSON.stringify(now.resources)}`);
    return now;
  });

it('hundreds of streams, a third of them left in the middle, leave no memory, slot, handle or connection behind', async () => {
  const start = await quiet('at the start');
  await streams(FIRST);
  const first = await quiet('after the first streams', start);
  await streams(MORE);
  const { left, answered } = await upstream.counts();
  const last = await quiet('after all streams', start);

  expect(last.heapUsed - first.heapUsed).toBeLessThan(BOUND_BYTES);
  expect(await running()).toBe(0);
  // Who left has stopped the model, unless that had just ended, as it often has where the machine is slow.
  expect(left).toBeGreaterThan((FIRST + MORE) / 3 / 4);
  expect(left + answered).toBe(FIRST + MORE);
  await eventually('a model server without connections', SETTLED_MS, async () => {
    const counts = await upstream.counts();
    return counts.connections === 0 && counts.running === 0;
  });
});
