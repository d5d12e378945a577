// Cascades of projects that move: the home that a project leaves ends what is under way, and what is asked behind that is begun by the new one.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, type EventType, formatLinkedFrom, LIFECYCLE, LINKED_FROM } from '../../schemas/index.js';
import { eventOf as eventIn, type Log, type Outgoing, outgoing } from '../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { eventOf } from '../testing/index.js';
import { CASCADE_SOURCE, runCascades } from './run.js';
import { openCascadeWorld, POLICY, requestOf } from './testing/cascade-world.js';

const never = new AbortController().signal;
const homesOf = (self: string) => ({ self, homeOf: () => 'core' });
let log: Log;
beforeEach(() => {
  log = openMemoryLog({ partitions: 1 });
});
afterEach(() => log.close());

const record = (event: DatsEvent, from?: number): Outgoing => {
  const { topic, key, headers, value } = outgoing(LIFECYCLE, event);
  const origin = from === undefined ? {} : { [LINKED_FROM]: formatLinkedFrom({ epoch: 1, partition: 0, offset: from, node: 'core' }) };
  return { topic, key, headers: { ...headers, ...origin }, value };
};
const project = <T extends EventType>(type: T, data: DataOf<T>, id: string): DatsEvent =>
  ({ ...eventOf(type, data, { projectid: 'p', id: derivedId(id) }) }) as DatsEvent;
const started = () => project('dats.project.move.started', { project_id: 'p', to: 'edge-1', requested_at: 0 }, 'started');
const moved = () => project('dats.project.moved', { project_id: 'p', from: 'core', to: 'edge-1', requested_at: 0 }, 'moved');
const arrived = () => project('dats.project.arrived', { project_id: 'p', from: 'core', to: 'edge-1' }, 'arrived');
const requested = (id: string, root: string) => eventOf('dats.cascade.requested', requestOf(id, { artifact_id: root }), { projectid: 'p' });

/** A bad file, and what was made from it as another version of it: a cascade over it asks nobody. */
const history = () => {
  const world = openCascadeWorld();
  const root = world.make('a', { 'a.py': 'A' })['a.py']!;
  world.make('b', { 'a.py': 'B' }, [root]);
  return { events: world.log, root };
};

const said = async (): Promise<string[]> => {
  const found: string[] = [];
  const { end } = await log.range(LIFECYCLE, 0);
  for await (const records of log.read({ topic: LIFECYCLE, partition: 0, offset: 0 }, never, { until: end }))
    for (const one of records.map(eventIn))
      if (one.source === CASCADE_SOURCE) found.push(`${one.type.slice('dats.'.length)} ${one.subject}`);
  return found;
};
/** Runs it at a node until it has said so much, and what it has said when all that it was given is read. */
const run = async (self: string, count: number): Promise<readonly string[]> => {
  // A clock that runs: the offset is kept every five seconds.
  let time = Date.now();
  const now = () => (time += 6_000);
  const options = {
    log,
    views: openMemoryViewStore(),
    policy: POLICY,
    homes: homesOf(self),
    configVersion: () => '1',
    now,
    onProblem: () => undefined,
  };
  const membership = await log.join('cascade', [LIFECYCLE], (assignment) => runCascades(assignment, options));
  await expect.poll(async () => (await said()).length, { timeout: 10_000, interval: 5 }).toBeGreaterThanOrEqual(count);
  const lag = async () => (await log.lag('cascade', [LIFECYCLE]))[0]?.lag;
  await expect.poll(lag, { timeout: 15_000, interval: 5 }).toBe(0);
  await membership.leave();
  return said();
};

describe('a project that leaves', () => {
  it('is released when the cascade under way is over, and what is asked behind that is not begun', async () => {
    const { events, root } = history();
    await log.append([
      ...events.map((event) => record(event)),
      record(requested('before', root)),
      record(started()),
      record(requested('behind', root)),
    ]);
    const all = await run('core', 5);
    expect(all).toEqual([
      'cascade.started before',
      expect.stringContaining('artifact.tainted'),
      expect.stringContaining('artifact.tainted'),
      'cascade.completed before',
      'project.released p',
    ]);
    await log.append([record(moved()), record(requested('astray', root))]);
    expect(await run('core', 5)).toEqual(all);
  });

  it('is released at once where nothing is under way, once, also by who comes after', async () => {
    await log.append([record(started())]);
    expect(await run('core', 1)).toEqual(['project.released p']);
    expect(await run('core', 1)).toEqual(['project.released p']);
  });
});

describe('a project that comes', () => {
  it('is decided from the first word here on, and first on what was left', async () => {
    const { events, root } = history();
    const copies = [...events, requested('before', root)].map((event, i) => record(event, i));
    await log.append([
      ...copies,
      record(started(), 50),
      record(requested('left', root), 51),
      record(requested('left', root), 52),
      record(moved(), 53),
    ]);
    // Nothing of it is decided on until it is here.
    expect(await run('edge-1', 0)).toEqual([]);
    await log.append([record(arrived())]);
    const all = await run('edge-1', 4);
    expect(all[0]).toBe('cascade.started left');
    expect(all.filter((one) => one.startsWith('cascade.started'))).toEqual(['cascade.started left']);
  });

  it('is history where an earlier life of the node decided it', async () => {
    const { events, root } = history();
    const all = [...events, started(), requested('left', root), moved(), arrived()];
    await log.append([...all.map((event, i) => record(event, i)), record(started(), 90), record(moved(), 91)]);
    expect(await run('edge-1', 0)).toEqual([]);
  });
});
