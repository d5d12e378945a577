// A core for the tests of the link: a real HTTP/2 server that takes in what a node sends as the real one does, and behaves as badly as it is told to.
import { createServer, type Http2Server, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { unpackRecords } from '../../processors/link/index.js';
import type { JoinedLink, JoinLink, LinkBatch, NodeBeat } from '../../schemas/index.js';

export interface Copy {
  readonly epoch: number;
  /** `<topic>/<partition>`. */
  readonly name: string;
  readonly offset: number;
  readonly key: string;
}

/** What becomes of a call; `taken, lost`: it is done, and the answer never comes; an object: that answer. */
export type Conduct = 'well' | 'hang' | 'taken, lost' | { readonly status: number; readonly body: string };
export type Ask = 'join' | 'batches' | 'beats';

export interface CoreStandIn {
  readonly url: string;
  readonly copies: readonly Copy[];
  readonly joins: readonly { readonly body: JoinLink; readonly atMs: number }[];
  readonly beats: readonly NodeBeat[];
  /** Sizes of the batches that came, in bytes on the line. */
  readonly sizes: readonly number[];
  /** From now on. */
  conduct(of: (ask: Ask, bytes: number) => Conduct): void;
  /** As after a restore from a backup: it knows less than it did. */
  forget(name: string, cursor: number): void;
  /** Nobody listens any more, and who was connected is cut off. */
  close(): Promise<void>;
  /** At the same address. */
  open(): Promise<void>;
}

export const problem = (status: number, code: string): Conduct => ({
  status,
  body: JSON.stringify({ type: `/problems/${code.replaceAll('_', '-')}`, detail: `${code} (injected)` }),
});

interface Life {
  store: string;
  epoch: number;
  cursors: Record<string, number>;
  missing: JoinedLink['missing'];
}

const JOINED = { core: 'core', core_store: 'store-of-core', core_epoch: 1, outbox: { partition: 0, end: 0 } };

export const openCoreStandIn = async (): Promise<CoreStandIn> => {
  let life: Life | undefined;
  let copies: Copy[] = [];
  const joins: { body: JoinLink; atMs: number }[] = [];
  const beats: NodeBeat[] = [];
  const sizes: number[] = [];
  const earlier = new Set<string>();
  let conduct: (ask: Ask, bytes: number) => Conduct = () => 'well';

  const join = (body: JoinLink): Conduct => {
    if (earlier.has(body.store_id)) return problem(409, 'node_superseded');
    if (life?.store !== body.store_id) {
      const { continues } = body;
      const kept = continues !== undefined && continues.store_id === life?.store ? continues.ends : {};
      const before = life?.cursors ?? {};
      const cursors = Object.fromEntries(Object.entries(before).map(([name, cursor]) => [name, Math.min(cursor, kept[name] ?? 0)]));
      if (life !== undefined) earlier.add(life.store);
      const epoch = (life?.epoch ?? 0) + 1;
      const missing = Object.entries(before).flatMap(([name, cursor]) => {
        const [topic, partition] = name.split('/') as [LinkBatch['topic'], string];
        const records = cursor - cursors[name]!;
        return records === 0 ? [] : [{ epoch: epoch - 1, topic, partition: Number(partition), records }];
      });
      life = { store: body.store_id, epoch, cursors, missing };
    }
    const said = { ...JOINED, epoch: life.epoch, cursors: life.cursors, missing: life.missing };
    return { status: 200, body: JSON.stringify(said) };
  };

  const take = async (batch: LinkBatch): Promise<Conduct> => {
    if (life === undefined || life.epoch !== batch.epoch) return problem(409, 'node_superseded');
    const { epoch, first, next } = batch;
    const name = `${batch.topic}/${batch.partition}`;
    const cursor = life.cursors[name] ?? 0;
    if (first <= cursor && next > cursor) {
      const taken = (await unpackRecords(batch)).filter(({ offset }) => offset >= cursor);
      copies.push(...taken.map(({ offset, key }) => ({ epoch, name, offset, key })));
      life.cursors[name] = next;
    }
    return { status: 200, body: JSON.stringify({ next: life.cursors[name] ?? 0 }) };
  };

  const beat = (said: NodeBeat): Conduct => {
    beats.push(said);
    if (life?.epoch !== said.epoch) return problem(409, 'node_superseded');
    const less = Object.entries(said.cursors).some(([name, cursor]) => cursor > (life?.cursors[name] ?? 0));
    return less ? problem(503, 'link_busy') : { status: 204, body: '' };
  };

  /** Its outbox is empty, which it says when the node has waited. */
  const nothingYet = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    const waitMs = Number(new URL(request.url!, 'http://core').searchParams.get('wait_ms'));
    const timer = setTimeout(() => response.writeHead(204).end(), waitMs);
    response.once('close', () => clearTimeout(timer));
  };

  const answer = async (request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> => {
    if (request.method === 'GET') return nothingYet(request, response);
    const ask = request.url!.split('/').at(-1) as Ask;
    const body = await text(request);
    if (ask === 'join') joins.push({ body: JSON.parse(body) as JoinLink, atMs: performance.now() });
    if (ask === 'batches') sizes.push(body.length);
    const how = conduct(ask, body.length);
    if (how === 'hang') return;
    const done = typeof how === 'object' ? how : await { join, batches: take, beats: beat }[ask](JSON.parse(body));
    if (how === 'taken, lost' || typeof done !== 'object') return request.stream.session?.destroy();
    response.writeHead(done.status).end(done.body);
  };

  let server: Http2Server | undefined;
  const sessions = new Set<ServerHttp2Session>();
  let port = 0;
  const open = async (): Promise<void> => {
    server = createServer((request, response) => void answer(request, response).catch(() => request.stream.session?.destroy()));
    server.on('session', (session) => {
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
    });
    await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  };
  await open();
  return {
    url: `http://127.0.0.1:${port}`,
    get copies() {
      return copies;
    },
    joins,
    beats,
    sizes,
    conduct: (of) => {
      conduct = of;
    },
    forget: (name, cursor) => {
      if (life !== undefined) life.cursors[name] = cursor;
      copies = copies.filter((copy) => copy.name !== name || copy.offset < cursor);
    },
    open,
    close: async () => {
      const closed = new Promise((resolve) => server?.close(resolve));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
};
