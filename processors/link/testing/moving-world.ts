// Several nodes without I/O, each a partition with the deciders of a node, over lists of records. The link is played by the test: what stands in a list is copied to
// the next one when it says so. As live, what others append may lie between what deciders read and what they say.
import {
  ARRIVES,
  type DataOf,
  type DatsEvent,
  derivedId,
  type EventOf,
  type EventType,
  formatLinkedFrom,
  LIFECYCLE,
  LINKED_FROM,
  type Servers,
  serversSchema,
} from '../../../schemas/index.js';
import { isCopy, outgoing, type Recorded } from '../../../streams/index.js';
import type { Decider } from '../../decider.js';
import { type Arrival, type Fold, openFold, openRebuild, type Said } from '../../host/index.js';
import { fixed } from '../../policies.js';
import { routingDecider } from '../../routing/index.js';
import { schedulingDecider } from '../../scheduling/index.js';
import { eventOf } from '../../testing/index.js';
import { type Homes, homesIn } from '../homes.js';
import { homesDecider } from '../homes-decider.js';
import { openPast } from '../past.js';

const SOURCE = '/deciders/core';
export const CORE = 'core';

export const POLICY: Servers['scheduling'] = {
  ...serversSchema.parse({ version: 1 }).scheduling,
  max_running_per_project: 2,
  backoff_base_ms: 100,
  timeout_s: 10,
  max_attempts: 3,
};

export interface WorkItem {
  readonly node: MovingNode;
  readonly work: EventOf<'dats.work.requested'>;
}

/** Told what an arrival was folded from, and how the project stood where it was let go. */
export type OnArrival = (node: MovingNode, arrival: Arrival, before: ReadonlyMap<string, string>) => void;

export interface MovingNode {
  readonly id: string;
  readonly log: Recorded[];
  /** What stands there. */
  at(offset: number): Recorded | undefined;
  /** Committed entries: what a restart would load. */
  readonly saved: Map<string, string>;
  readonly read: number;
  /** Appends what users, workers and cascades say here. */
  append<T extends EventType>(type: T, data: DataOf<T>, project: string, source?: string): DatsEvent;
  /** Appends what somebody said elsewhere, to be decided on here. */
  deliver(event: DatsEvent): void;
  step(count?: number): void;
  restart(): void;
  /** The home of a project, as the deciders here know it by now. */
  homeOf(project: string): string;
  /** Entries of a state that was folded again from the log. */
  rebuilt(): ReadonlyMap<string, string>;
  /** A fold that has nothing in it. */
  fresh(): Fold;
}

export interface MovingWorld {
  readonly nodes: readonly MovingNode[];
  readonly core: MovingNode;
  readonly work: WorkItem[];
  now: number;
  /** Lets the link carry up to `count` records of `node` to the core, or of the core to it. */
  carry(node: MovingNode, count?: number): void;
  node(id: string): MovingNode;
}

const serversOf = (id: string, edges: readonly string[]): Pick<Servers, 'node' | 'nodes'> => {
  const { node, nodes } = serversSchema.parse({
    version: 1,
    node: { id },
    nodes: [{ id: CORE, url: 'http://core.test' }, ...edges.map((edge) => ({ id: edge, token_env: 'TOKEN' }))],
  });
  return { node, nodes };
};

type Link = { sent: number; received: number; readonly outbox: Recorded[]; exported: number };

export const openMovingWorld = (edges: readonly string[], onArrival: OnArrival = () => undefined): MovingWorld => {
  const work: WorkItem[] = [];
  let serial = 0;
  /** How each project stood when its last word was said: entries of that node. */
  const letGo = new Map<string, ReadonlyMap<string, string>>();

  const openNode = (id: string): MovingNode => {
    const homes = homesIn(serversOf(id, edges));
    const log: Recorded[] = [];
    const saved = new Map<string, string>();
    let read = 0;
    let fold: Fold;
    const deciders = (): readonly Decider[] => decidersOf(homes);
    const options = { source: SOURCE, configVersion: () => '1', now: () => world.now };
    const open = (entries: Iterable<readonly [string, string]>): Fold => openFold(deciders(), entries, options);
    const push = (event: DatsEvent): void => {
      const { headers, value } = outgoing(LIFECYCLE, event);
      place(log, event.projectid, headers, value, world.now);
    };
    const commit = (said: readonly Said[]): void => {
      for (const { topic, event } of said)
        if (topic === LIFECYCLE) push(event);
        else if (event.type === 'dats.work.requested') work.push({ node, work: event });
      for (const [key, value] of fold.changes())
        if (value === null) saved.delete(key);
        else saved.set(key, value);
    };
    /** As `arrivalsAt` finds it. */
    const arrivalOf = (record: Recorded): Arrival | undefined => {
      if (record.type !== 'dats.project.moved' || !isCopy(record)) return undefined;
      if (id !== CORE && record.headers[ARRIVES] === undefined) return undefined;
      const moved = eventIn(record);
      if (moved.type !== 'dats.project.moved' || moved.data.to !== id) return undefined;
      const past = openPast({ self: id, source: SOURCE, consumes: fold.consumes });
      for (const one of log) if (one.offset < record.offset && one.key === record.key) past.take(one);
      return past.end(record, moved);
    };
    const node: MovingNode = {
      id,
      log,
      saved,
      at: (offset) => log.find((record) => record.offset === offset),
      get read() {
        return read;
      },
      append(type, data, project, source = '/gateway') {
        const said = eventOf(type, data, { projectid: project, time: new Date(world.now).toISOString() });
        const event = { ...said, id: derivedId('world', ++serial), source } as DatsEvent;
        push(event);
        return event;
      },
      deliver: push,
      step(count = Number.POSITIVE_INFINITY) {
        const said: Said[] = [];
        for (const until = Math.min(log.length, read + count); read < until; read++) {
          const record = log[read]!;
          const arrival = arrivalOf(record);
          if (arrival !== undefined) {
            onArrival(node, arrival, letGo.get(arrival.moved[0].id)!);
            said.push(...fold.takeOver(arrival));
          } else if (!isCopy(record)) said.push(...fold.take(eventIn(record), record.offset));
        }
        commit(said);
        const due = fold.nextDue();
        if (due === undefined || due > world.now) return;
        const before = new Map(saved);
        const ticked = fold.tick(world.now, endOf(log.slice(0, read)) - 1);
        for (const { event } of ticked) if (event.type === 'dats.project.moved') letGo.set(event.id, before);
        commit(ticked);
      },
      restart() {
        fold = open([...saved].sort(([a], [b]) => (a < b ? -1 : 1)));
      },
      homeOf: (project) => {
        const entry = saved.get(`homes/${project}`);
        return entry === undefined ? homes.homeOf(project) : (JSON.parse(entry) as { home: string }).home;
      },
      rebuilt() {
        const again = open([]);
        const rebuild = openRebuild(again, SOURCE);
        for (const record of log) {
          const arrival = arrivalOf(record);
          if (arrival === undefined) rebuild.take(record);
          else rebuild.takeArrival(record, arrival);
        }
        rebuild.finish(endOf(log.slice(0, read)));
        return new Map([...again.changes()].flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])));
      },
      fresh: () => open([]),
    };
    fold = open([]);
    return node;
  };

  const links = new Map<string, Link>();
  const world: MovingWorld = {
    nodes: [],
    get core() {
      return world.node(CORE);
    },
    work,
    now: Date.parse('2026-01-01T00:00:00.000Z'),
    node: (id) => world.nodes.find((one) => one.id === id)!,
    carry(node, count = Number.POSITIVE_INFINITY) {
      const link = links.get(node.id)!;
      for (let n = 0; n < count && link.sent < node.log.length; n++) {
        const record = node.log[link.sent++]!;
        if (!isCopy(record)) copy(record, node.id, world.core.log, world.now);
      }
      toOutboxes(world, links);
      for (let n = 0; n < count && link.received < link.outbox.length; n++) {
        const { key, headers, value } = link.outbox[link.received++]!;
        place(node.log, key, headers, value, world.now);
      }
    },
  };
  (world.nodes as MovingNode[]).push(...[CORE, ...edges].map(openNode));
  for (const edge of edges) links.set(edge, { sent: 0, received: 0, outbox: [], exported: 0 });
  return world;
};

const decidersOf = (homes: Homes): readonly Decider[] => [
  homesDecider(homes) as Decider,
  routingDecider(fixed({ askModelBelow: 0, modelAvailable: false })) as Decider,
  schedulingDecider(fixed(POLICY), undefined, undefined, homes.self) as Decider,
];

export const eventIn = ({ headers, value }: Pick<Recorded, 'headers' | 'value'>): DatsEvent =>
  ({ ...headers, data: JSON.parse(String(value)) }) as unknown as DatsEvent;

/** As logs give them: fields are there when they are asked for, and not in a copy made with `...`. */
class Stored implements Recorded {
  readonly #said: Recorded;
  constructor(said: Recorded) {
    this.#said = said;
  }
  get topic() {
    return this.#said.topic;
  }
  get partition() {
    return this.#said.partition;
  }
  get offset() {
    return this.#said.offset;
  }
  get key() {
    return this.#said.key;
  }
  get headers() {
    return this.#said.headers;
  }
  get value() {
    return this.#said.value;
  }
  get type() {
    return this.#said.type;
  }
  get timestamp() {
    return this.#said.timestamp;
  }
}

/** With gaps, as logs may have them. */
const nextOffset = (log: readonly Recorded[]): number => endOf(log) + (log.length % 4 === 3 ? 2 : 0);
const endOf = (log: readonly Recorded[]): number => (log.at(-1)?.offset ?? -1) + 1;

const place = (log: Recorded[], key: string, headers: Recorded['headers'], value: Recorded['value'], now: number): void =>
  void log.push(
    new Stored({ topic: LIFECYCLE, partition: 0, offset: nextOffset(log), key, headers, value, type: headers.type!, timestamp: now }),
  );

const copy = ({ key, headers, value, offset }: Recorded, node: string, log: Recorded[], now: number): void =>
  place(log, key, { ...headers, [LINKED_FROM]: formatLinkedFrom({ epoch: 1, partition: 0, offset, node }) }, value, now);

/** As keep-homes sends histories: what the node does not have of the project, behind what it had before. */
const toOutboxes = ({ core }: MovingWorld, links: ReadonlyMap<string, Link>): void => {
  for (const [edge, link] of links)
    for (; link.exported < core.log.length; link.exported++) {
      const last = core.log[link.exported]!;
      if (last.type !== 'dats.project.moved' || (eventIn(last) as EventOf<'dats.project.moved'>).data.to !== edge) continue;
      const has = new Set(link.outbox.map(({ headers }) => headers[LINKED_FROM]));
      for (const record of core.log.slice(0, link.exported + 1)) {
        const from = record.headers[LINKED_FROM] ?? formatLinkedFrom({ epoch: 1, partition: 0, offset: record.offset, node: CORE });
        if (record.key !== last.key || from.endsWith(`/${edge}`) || has.has(from)) continue;
        const arrives = record === last ? { [ARRIVES]: '1' } : {};
        const { key, headers, value } = record;
        place(link.outbox, key, { ...headers, [LINKED_FROM]: from, ...arrives }, value, 0);
      }
    }
};
