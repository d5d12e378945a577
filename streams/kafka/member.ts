// A member of a group: joins through Kafka's group protocol, takes the partitions it is assigned, gives up in order those that it must.
//
// G1. Cooperative: a partition that must move is first only taken away; its owner lets the handler return and joins again, and then another gets it.
// Partitions that stay are never interrupted. G2. A member that cannot reach the coordinator goes on with what it has: should somebody else have taken it,
// the commits are fenced (L4). G3. A handler that was fenced while its partition is still ours is begun anew, from what is committed.
// G4. Leaving drains first: heartbeats go on until the handlers have returned. What has returned does not wait for what has not: meanwhile the member
// subscribes to nothing, and others get what it let go. G5. A group that has just changed changes again soon (G1), and a partition on its way is read by
// nobody: so its members ask more often then.
import { setMaxListeners } from 'node:events';
import { heartbeatV4, joinGroupV9, leaveGroupV5, type ResponseError, syncGroupV5 } from '@platformatic/kafka';
import { Fault, isFault, type Topic, toFault } from '../../schemas/index.js';
import { balance, LEAVE_TIMEOUT_MS, type Owned, type Place, placeKey } from '../adapter/index.js';
import type { Assignment, Membership } from '../log.js';
import { pause } from '../pause.js';
import { within } from '../within.js';
import type { OwnedAssignment } from './assignment.js';
import type { Channel, Cluster } from './cluster.js';
import { isProtocolError } from './faults.js';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type NamedPlace,
  PROTOCOL,
  PROTOCOL_TYPE,
  placesOf,
} from './group-protocol.js';
import { persist } from './persist.js';

export interface MemberOptions {
  readonly cluster: Cluster;
  /** The group's name at the coordinator. */
  readonly group: string;
  readonly topics: readonly Topic[];
  readonly partitions: number;
  /** Silent for so long, a member is taken for dead, in milliseconds. */
  readonly sessionTimeoutMs: number;
  readonly nameOf: (topic: Topic) => string;
  readonly topicOf: (name: string) => Topic | undefined;
  /** Makes everything ready that the group needs; retried. */
  readonly prepare: () => Promise<void>;
  /** Takes a partition over: fences the earlier owner, loads the state. Retried until the partition is revoked. */
  readonly open: (place: Place, revoked: AbortSignal) => Promise<OwnedAssignment>;
  readonly onAssigned: (assignment: Assignment) => Promise<void>;
  readonly onProblem: (error: unknown) => void;
}

interface Session {
  readonly generation: number;
  readonly assigned: readonly Place[];
}

interface Holding {
  readonly place: Place;
  readonly revoke: AbortController;
  readonly ended: Promise<void>;
}

/** What a broker allows at the least unless it is told otherwise, in milliseconds. */
const KAFKA_LEAST_SESSION_MS = 6_000;
/** How long the coordinator waits for a member to join again, in milliseconds. */
const REBALANCE_TIMEOUT_MS = 10_000;
const RETRY_MS = { first: 50, longest: 1_000 } as const;
const FENCED_PAUSE_MS = 200;
/** A change of the group is heard with the next heartbeat: so long its partitions may wait for a new owner, in milliseconds. */
const HEARTBEAT_MS = 100;
/** The same for SETTLING_MS after a change (G5). */
const SETTLING_HEARTBEAT_MS = 20;
const SETTLING_MS = 2_000;
/** What is let go within this time is handed on together, in milliseconds. */
const TOGETHER_MS = 30;
const LEAVE_REQUEST_MS = 2_000;

let members = 0;

export class KafkaMember implements Membership {
  readonly done: Promise<void>;
  readonly #options: MemberOptions;
  readonly #held = new Map<string, Holding>();
  readonly #gone = new AbortController();
  #settle!: { resolve: () => void; reject: (error: Fault) => void };
  #memberId = '';
  #sessionTimeoutMs: number;
  #assigned: readonly Place[] = [];
  #leaving: Promise<void> | undefined;
  #failure: Fault | undefined;
  #rejoin = new AbortController();
  #letGo: NodeJS.Timeout | undefined;
  #isPrepared = false;
  readonly #channel: Channel = `group:${members++}`;
  readonly #running: Promise<void>;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#sessionTimeoutMs = options.sessionTimeoutMs;
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.done.catch(() => undefined);
    setMaxListeners(0, this.#gone.signal);
    this.#running = this.#run();
  }

  owned(): readonly Place[] {
    return [...this.#held.values()].map(({ place }) => place);
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  /** Joins, serves until the group changes, joins again; until it has left. */
  async #run(): Promise<void> {
    const { onProblem } = this.#options;
    const gone = this.#gone.signal;
    let wait: number = RETRY_MS.first;
    while (!gone.aborted) {
      try {
        if (!this.#isPrepared) await this.#options.prepare();
        this.#isPrepared = true;
        const session = await this.#join();
        if (session !== undefined) {
          this.#apply(session.assigned);
          wait = RETRY_MS.first;
          await this.#beat(session);
        }
      } catch (error) {
        if (gone.aborted) return;
        if (!isFault(error, 'retryable')) {
          this.#fail(error);
          return;
        }
        onProblem(error);
        await pause(wait, gone);
        wait = Math.min(wait * 2, RETRY_MS.longest);
      }
    }
  }

  /** One round of joining; undefined when it must be begun anew. */
  async #join(): Promise<Session | undefined> {
    const { group, topics, nameOf, topicOf } = this.#options;
    this.#rejoin = new AbortController();
    const wanted = this.#leaving === undefined ? topics : [];
    const metadata = encodeSubscription({ topics: wanted.map(nameOf), owned: this.owned().map((place) => this.#named(place)) });
    let joined: Awaited<ReturnType<typeof joinGroupV9.api.async>>;
    try {
      joined = await this.#call(this.#channel, (node, channel) =>
        this.#options.cluster.call(
          node,
          channel,
          joinGroupV9.api,
          group,
          this.#sessionTimeoutMs,
          REBALANCE_TIMEOUT_MS,
          this.#memberId,
          null,
          PROTOCOL_TYPE,
          [{ name: PROTOCOL, metadata }],
        ),
      );
    } catch (error) {
      return this.#joinRefused(error);
    }
    this.#memberId = joined.memberId ?? this.#memberId;
    const { generationId: generation, members, leader } = joined;
    const assignments =
      leader === this.#memberId
        ? this.#share(members.map(({ memberId, metadata: said }) => ({ memberId, ...decodeSubscription(said!) })))
        : [];
    try {
      const synced = await this.#call(this.#channel, (node, channel) =>
        this.#options.cluster.call(
          node,
          channel,
          syncGroupV5.api,
          group,
          generation,
          this.#memberId,
          null,
          PROTOCOL_TYPE,
          PROTOCOL,
          assignments,
        ),
      );
      return { generation, assigned: placesOf(decodeAssignment(synced.assignment), topicOf) };
    } catch (error) {
      if (isProtocolError(causeOf(error), 'REBALANCE_IN_PROGRESS')) return undefined;
      if (isProtocolError(causeOf(error), 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION')) {
        await this.#lose();
        return undefined;
      }
      throw error;
    }
  }

  async #joinRefused(error: unknown): Promise<undefined> {
    const cause = causeOf(error);
    if (isProtocolError(cause, 'MEMBER_ID_REQUIRED')) {
      this.#memberId = (cause as ResponseError & { response?: { memberId?: string } }).response?.memberId ?? '';
      return undefined;
    }
    if (isProtocolError(cause, 'UNKNOWN_MEMBER_ID')) {
      await this.#lose();
      return undefined;
    }
    if (isProtocolError(cause, 'INVALID_SESSION_TIMEOUT') && this.#sessionTimeoutMs !== KAFKA_LEAST_SESSION_MS) {
      this.#sessionTimeoutMs = KAFKA_LEAST_SESSION_MS;
      return undefined;
    }
    throw error;
  }

  /** The leader's part: who gets what. A partition that must leave its owner is given to nobody yet (G1). */
  #share(members: readonly { readonly memberId: string; readonly topics: readonly string[]; readonly owned: readonly NamedPlace[] }[]) {
    const { partitions, topicOf } = this.#options;
    const owners = new Map<string, string>();
    for (const { memberId, owned } of members) for (const place of placesOf(owned, topicOf)) owners.set(placeKey(place), memberId);
    const subscribers = [...members]
      .sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
      .map(({ memberId, topics }) => ({ id: memberId, topics: topics.flatMap((name) => topicOf(name) ?? []) }));
    const topics = new Set(subscribers.flatMap((subscriber) => subscriber.topics));
    const places: Owned[] = [...topics].flatMap((topic) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic, partition, owner: owners.get(placeKey({ topic, partition })) })),
    );
    const target = balance(subscribers, places);
    return subscribers.map(({ id }) => ({
      memberId: id,
      assignment: encodeAssignment(
        places.filter((place) => target.get(placeKey(place)) === id && (place.owner ?? id) === id).map((place) => this.#named(place)),
      ),
    }));
  }

  #apply(assigned: readonly Place[]): void {
    this.#assigned = assigned;
    const mine = new Set(assigned.map(placeKey));
    for (const [key, { revoke }] of this.#held) if (!mine.has(key)) revoke.abort();
    this.#beginAssigned();
  }

  #beginAssigned(): void {
    if (this.#leaving !== undefined) return;
    for (const place of this.#assigned) if (!this.#held.has(placeKey(place))) this.#begin(place);
  }

  #begin({ topic, partition }: Place): void {
    const place = { topic, partition };
    const revoke = new AbortController();
    setMaxListeners(0, revoke.signal);
    this.#held.set(placeKey(place), { place, revoke, ended: this.#hold(place, revoke) });
  }

  async #hold(place: Place, revoke: AbortController): Promise<void> {
    const { open, onAssigned, onProblem } = this.#options;
    const revoked = revoke.signal;
    await Promise.resolve();
    try {
      const assignment = await persist(() => open(place, revoked), { signal: revoked, onRetry: onProblem });
      await onAssigned(assignment);
      // A handler may keep to itself that it was fenced (G3).
      if (assignment.lost) await pause(FENCED_PAUSE_MS, revoked);
      else if (!revoked.aborted) await new Promise<void>((resolve) => revoked.addEventListener('abort', () => resolve(), { once: true }));
    } catch (error) {
      if (isFault(error, 'fenced')) await pause(FENCED_PAUSE_MS, revoked);
      else if (!(revoked.aborted && isFault(error, 'retryable'))) this.#fail(error);
    }
    this.#held.delete(placeKey(place));
    // What was revoked can now go to another; what was fenced is still ours.
    if (revoked.aborted) this.#handOn();
    else this.#beginAssigned();
  }

  /** Tells the group what was let go: together with what is let go soon. The last of one that leaves goes with its leaving (G4). */
  #handOn(): void {
    const still = [...this.#held.values()].filter(({ revoke }) => revoke.signal.aborted).length;
    clearTimeout(this.#letGo);
    if (still > 0) this.#letGo = setTimeout(() => this.#rejoin.abort(), TOGETHER_MS);
    else if (this.#leaving === undefined) this.#rejoin.abort();
  }

  /** Heartbeats until the group changes. */
  async #beat({ generation }: Session): Promise<void> {
    const { group, cluster, onProblem } = this.#options;
    const gone = this.#gone.signal;
    const rejoin = this.#rejoin.signal;
    const settled = performance.now() + SETTLING_MS;
    while (!gone.aborted && !rejoin.aborted) {
      const soon = performance.now() < settled ? SETTLING_HEARTBEAT_MS : HEARTBEAT_MS;
      await pause(Math.min(soon, this.#sessionTimeoutMs / 4), AbortSignal.any([gone, rejoin]));
      if (gone.aborted || rejoin.aborted) return;
      try {
        await this.#call(this.#channel, (node, channel) =>
          cluster.call(node, channel, heartbeatV4.api, group, generation, this.#memberId, null),
        );
      } catch (error) {
        const cause = causeOf(error);
        if (isProtocolError(cause, 'REBALANCE_IN_PROGRESS')) return;
        if (isProtocolError(cause, 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID')) return await this.#lose();
        if (!isFault(error, 'retryable')) throw error;
        onProblem(error);
      }
    }
  }

  /** The group went on without us: others may own what we hold. */
  async #lose(): Promise<void> {
    this.#memberId = '';
    this.#assigned = [];
    for (const { revoke } of this.#held.values()) revoke.abort();
    await Promise.all([...this.#held.values()].map(({ ended }) => ended));
  }

  #call<R>(channel: Channel, send: (node: number, channel: Channel) => Promise<R>): Promise<R> {
    const { cluster, group } = this.#options;
    return cluster.atCoordinator('group', group, `being a member of ${group}`, (node) => send(node, channel));
  }

  #named({ topic, partition }: Place): NamedPlace {
    return { name: this.#options.nameOf(topic), partition };
  }

  #fail(error: unknown): void {
    this.#failure ??= toFault(error);
    void this.leave();
  }

  async #leave(): Promise<void> {
    await Promise.resolve();
    for (const { revoke } of this.#held.values()) revoke.abort();
    const returned = await this.#handlersReturned();
    if (!returned)
      this.#failure ??= new Fault(
        'fatal',
        'handler_stuck',
        `handlers of ${[...this.#held.keys()].join(', ')} did not return within ${LEAVE_TIMEOUT_MS} ms after they were revoked; their partitions were given up, restart the process`,
      );
    clearTimeout(this.#letGo);
    this.#gone.abort();
    // Not on the connection for the group: a join may be waiting there.
    if (this.#memberId !== '') {
      const { cluster, group } = this.#options;
      const asked = this.#call('admin', (node, channel) =>
        cluster.call(node, channel, leaveGroupV5.api, group, [{ memberId: this.#memberId }]),
      );
      await within(
        LEAVE_REQUEST_MS,
        asked.catch(() => undefined),
      );
    }
    await within(
      LEAVE_REQUEST_MS,
      this.#running.catch(() => undefined),
    );
    if (this.#failure === undefined) this.#settle.resolve();
    else this.#settle.reject(this.#failure);
  }

  async #handlersReturned(): Promise<boolean> {
    const all = Promise.allSettled([...this.#held.values()].map(({ ended }) => ended));
    return (await within(LEAVE_TIMEOUT_MS, all)) !== undefined;
  }
}

/** What the client said, under the Fault that was made of it. */
const causeOf = (error: unknown): unknown => (isFault(error) ? (error.cause ?? error) : error);
