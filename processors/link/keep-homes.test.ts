import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ARRIVES,
  type DataOf,
  derivedId,
  type EventType,
  Fault,
  formatLinkedFrom,
  LIFECYCLE,
  LINKED_FROM,
  MOVES_KNOWN,
  NO_PROJECT,
  NODES,
  newId,
  OUTBOX,
  partitionOf,
  serversSchema,
} from '../../schemas/index.js';
import type { Log, Outgoing, Recorded, ViewStore } from '../../streams/index.js';
import { outgoing } from '../../streams/index.js';
import { MemoryStore, openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { type FaultyLog, faultyLog } from '../../streams/testing/faulty-log.js';
import { eventOf } from '../testing/index.js';
import { homeNow } from './home-of.js';
import { homesIn } from './homes.js';
import { keepHomes } from './keep-homes.js';
import { PEERS } from './receive.js';

const PROJECT = 'p';
const CORE = 'core';
const homesOf = (id: string) => {
  const edges = ['edge-1', 'edge-2'].map((edge) => ({ id: edge, token_env: 'TOKEN' }));
  return homesIn(serversSchema.parse({ version: 1, node: { id }, nodes: [{ id: CORE, url: 'http://core.test' }, ...edges] }));
};

const ABILITIES = { version: '1', roles: 'all', models: [], slots: {}, projects: [] };

let store: MemoryStore;
let log: FaultyLog;
let views: ViewStore;
let serial = 0;
beforeEach(() => {
  store = new MemoryStore();
  log = faultyLog(openMemoryLog({ partitions: 1, store, node: 'first' }));
  views = openMemoryViewStore();
});
afterEach(() => log.close());

interface From {
  readonly node: string;
  readonly epoch?: number;
  readonly offset: number;
}

const record = <T extends EventType>(type: T, data: DataOf<T>, source: string, more: Readonly<Record<string, string>> = {}): Outgoing => {
  const event = { ...eventOf(type, data, { projectid: PROJECT, id: derivedId('kept', ++serial) }), source };
  const { topic, key, headers, value } = outgoing(LIFECYCLE, event as never);
  return { topic, key, headers: { ...headers, ...more }, value };
};
const from = ({ node, epoch = 1, offset }: From) => ({ [LINKED_FROM]: formatLinkedFrom({ node, epoch, offset, partition: 0 }) });
const asked = (task_id: string, more: Readonly<Record<string, string>> = {}): Outgoing =>
  record('dats.task.cancel.requested', { task_id, reason: 'r', by: 'b' }, '/gateway', more);
const said = (task_id: string, more: Readonly<Record<string, string>> = {}): Outgoing =>
  record('dats.task.cancelled', { task_id, reason: 'r', by: 'b' }, '/deciders/core', more);
const moved = (there: string, to: string, more: Readonly<Record<string, string>> = {}): Outgoing =>
  record('dats.project.moved', { project_id: PROJECT, from: there, to, requested_at: 0 }, '/deciders/core', { afteroffset: '0', ...more });

const everything = async (topic: typeof LIFECYCLE | typeof OUTBOX, of: Log = log): Promise<Recorded[]> => {
  const found: Recorded[] = [];
  const { end } = await of.range(topic, 0);
  if (end > 0)
    for await (const records of of.read({ topic, partition: 0, offset: 0 }, new AbortController().signal, { until: end }))
      found.push(...records);
  return found;
};
const sent = async (): Promise<readonly string[]> =>
  (await everything(OUTBOX)).map(({ key, headers }) =>
    [
      key,
      headers.subject,
      headers[MOVES_KNOWN] === undefined ? '' : `knows ${headers[MOVES_KNOWN]}`,
      headers[LINKED_FROM] ?? '',
      headers[ARRIVES] === undefined ? '' : 'arrives',
    ]
      .filter((part) => part !== '')
      .join(' '),
  );

/** Runs it at a node until it has read all that the log holds now, and what it says of it. */
const run = async (self: string, on: Log = log): Promise<void> => {
  const membership = await on.join('homes', [LIFECYCLE], (assignment) =>
    keepHomes(assignment, { log: on, views, homes: homesOf(self), epoch: async () => 1 }),
  );
  const isDone = async (): Promise<boolean> => {
    const [{ lag } = { lag: 1 }] = await on.lag('homes', [LIFECYCLE]);
    return lag === 0;
  };
  try {
    // Its offset is kept every second.
    await Promise.race([membership.done, expect.poll(isDone, { timeout: 10_000, interval: 5 }).toBe(true)]);
  } finally {
    await membership.leave().catch(() => undefined);
  }
};
const marker = (): Outgoing =>
  record('dats.project.move.started', { project_id: PROJECT, to: 'edge-2', requested_at: 0 }, '/deciders/core');

describe('what users asked', () => {
  it('at a node that is not the home is sent on, once; what was asked at the home, said by others or copied is not', async () => {
    await log.append([asked('a'), said('b'), asked('c', from({ node: 'edge-1', offset: 3 })), asked('d'), marker()]);
    await run('edge-1');
    await run('edge-1');
    expect(await sent()).toEqual(['core a knows 0', 'core d knows 0']);
    expect(partitionOf(PROJECT, 1)).toBe(0);
  });

  it('behind the last word goes to where the project is now', async () => {
    await log.append([
      asked('a'),
      moved(CORE, 'edge-1'),
      asked('b'),
      moved('edge-1', CORE, from({ node: 'edge-1', offset: 9 })),
      asked('c'),
      marker(),
    ]);
    await run(CORE);
    expect((await sent()).filter((line) => line.includes('knows'))).toEqual(['edge-1 b knows 1']);
    expect(await homeNow(views, homesOf(CORE), PROJECT)).toMatchObject({ home: CORE, moves: 2 });
  });

  it('is sent on by the moves that there were, also where the last words of some came twice (K5)', async () => {
    const words = [moved(CORE, 'edge-1'), moved('edge-1', 'edge-2', from({ node: 'edge-1', offset: 9 }))];
    await log.append([...words, ...words]);
    await run('edge-1');
    await log.append([...words, asked('a'), marker()]);
    await run('edge-1');
    expect(await sent()).toEqual(['edge-2 a knows 2']);
    expect(await homeNow(views, homesOf('edge-1'), PROJECT)).toMatchObject({ home: 'edge-2', moves: 2 });
  });

  it('by somebody who knew of more moves waits for them, and is decided here or sent on then', async () => {
    await log.append([moved(CORE, 'edge-1'), asked('early', { [MOVES_KNOWN]: '2' }), asked('late', { [MOVES_KNOWN]: '1' }), marker()]);
    await run(CORE);
    expect((await sent()).filter((line) => line.includes('knows'))).toEqual(['edge-1 late knows 1']);
    await log.append([moved('edge-1', CORE, from({ node: 'edge-1', offset: 9 })), marker()]);
    await run(CORE);
    const here = (await everything(LIFECYCLE)).filter(({ headers }) => headers.subject === 'early');
    expect(here).toHaveLength(2);
    expect(here[1]!.headers[MOVES_KNOWN]).toBe('2');
    expect(here[1]!.value).toEqual(here[0]!.value);
    expect((await sent()).filter((line) => line.includes('early') && line.includes('knows'))).toEqual([]);
  });
});

describe('the history of a project', () => {
  const long = (count: number): Outgoing[] =>
    Array.from({ length: count }, (_, i) => (i % 3 === 0 ? said(`e${i}`, from({ node: 'edge-1', offset: i })) : said(`c${i}`)));
  const expected = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => i)
      .filter((i) => i % 3 !== 0)
      .map((i) => `edge-1 c${i} 1/p0-${i}/core`);

  it('goes to its new home behind the last word, whole, in order, and once, wherever it is stopped', async () => {
    await log.append([...long(3_000), moved(CORE, 'edge-1'), asked('behind'), marker()]);
    for (const [i, place] of (['commit:acknowledgement', 'commit:before', 'commit:acknowledgement'] as const).entries()) {
      const one = faultyLog(openMemoryLog({ partitions: 1, store, node: `n${i}` }));
      one.failAt(place, new Fault('fatal', 'died', 'it died here'));
      await run(CORE, one).catch(() => undefined);
    }
    await run(CORE);
    expect(await sent()).toEqual([...expected(3_000), 'edge-1 subject 1/p0-3000/core arrives', 'edge-1 behind knows 1']);
  });

  it('goes from where that node had it; to a store that was made anew, whole, with what the one before had said', async () => {
    await log.append([
      said('a'),
      moved(CORE, 'edge-1'),
      said('b', from({ node: 'edge-1', offset: 9 })),
      moved('edge-1', CORE, from({ node: 'edge-1', offset: 10 })),
      said('c'),
      moved(CORE, 'edge-1'),
      marker(),
    ]);
    await run(CORE);
    expect(await sent()).toEqual([
      'edge-1 a 1/p0-0/core',
      'edge-1 subject 1/p0-1/core arrives',
      'edge-1 c 1/p0-4/core',
      'edge-1 subject 1/p0-5/core arrives',
    ]);
    await views.put([{ collection: PEERS, id: 'edge-1', version: 1, doc: { node_id: 'edge-1', epoch: 2 } }]);
    await log.append([moved('edge-1', CORE, from({ node: 'edge-1', offset: 20 })), moved(CORE, 'edge-1'), marker()]);
    await run(CORE);
    expect((await sent()).slice(4)).toEqual([
      'edge-1 a 1/p0-0/core',
      'edge-1 subject 1/p0-1/core',
      'edge-1 b 1/p0-9/edge-1',
      'edge-1 subject 1/p0-10/edge-1',
      'edge-1 c 1/p0-4/core',
      'edge-1 subject 1/p0-5/core',
      'edge-1 subject 1/p0-6/core',
      'edge-1 subject 1/p0-20/edge-1',
      'edge-1 subject 1/p0-8/core arrives',
    ]);
  });

  it('goes to the newest life of that node also where its view was emptied', async () => {
    const registered = eventOf(
      'dats.node.registered',
      { ...ABILITIES, node_id: 'edge-1', store_id: newId(), epoch: 2 },
      { projectid: NO_PROJECT },
    );
    await log.append([outgoing(NODES, registered as never, 'edge-1')]);
    await log.append([
      said('a', from({ node: 'edge-1', offset: 3 })),
      said('b', from({ node: 'edge-1', epoch: 2, offset: 0 })),
      moved(CORE, 'edge-1'),
      marker(),
    ]);
    await run(CORE);
    expect(await sent()).toEqual(['edge-1 a 1/p0-3/edge-1', 'edge-1 subject 1/p0-2/core arrives']);
    expect((await everything(OUTBOX)).at(-1)!.headers[ARRIVES]).toBe('2');
  });

  it('from one edge node to another goes through the core', async () => {
    await log.append([
      said('a', from({ node: 'edge-1', offset: 0 })),
      moved('edge-1', 'edge-2', from({ node: 'edge-1', offset: 1 })),
      marker(),
    ]);
    await run(CORE);
    expect(await sent()).toEqual(['edge-2 a 1/p0-0/edge-1', 'edge-2 subject 1/p0-1/edge-1 arrives']);
  });
});
