// The typed client of the HTTP API: what the command line, the benchmarks and the end-to-end tests use.
//
// K1. Bodies and answers have the shapes of schemas/api.ts. K2. Every error is a Fault: `server_unreachable`, or the server's problem (see problem.ts).
// K3. Nothing is sent twice by itself, except that a stream is resumed (events.ts); give an idempotency key and send again if in doubt.
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import {
  type ArtifactView,
  type acceptedSchema,
  type cancelSchema,
  type DatsEvent,
  Fault,
  isFault,
  isTerminal,
  type Problem,
  type ProjectStatus,
  type submitTaskSchema,
  type TaskView,
} from '../../schemas/index.js';
import type { CancelAnswer, DeadLetter, HealthReport, ModelRow } from './answers.js';
import { auditOf } from './audit.js';
import { cascadesOf } from './cascades.js';
import { configOf } from './config.js';
import { type FollowOptions, follow, type Open } from './events.js';
import { historyOf } from './history.js';
import { type HttpOptions, openHttp } from './http.js';
import { followText, type TextEvent } from './live-text.js';
import { nodesOf } from './nodes.js';
import { quotasOf } from './quotas.js';
import { type Sleep, sleep } from './wait.js';

export type SubmitBody = z.input<typeof submitTaskSchema>;
export type CancelBody = z.input<typeof cancelSchema>;
export type Accepted = z.infer<typeof acceptedSchema>;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

export interface TaskFilter {
  readonly project_id?: string | undefined;
  readonly status?: string | undefined;
  readonly state?: string | undefined;
  readonly since?: string | undefined;
  readonly parent_id?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** An event with its place in the stream. */
export interface FollowedEvent {
  readonly position: string;
  readonly event: DatsEvent;
}

/** One of `task` and `problem` is there. */
export interface BatchAnswer {
  readonly index: number;
  readonly status: number;
  readonly task?: Accepted;
  readonly problem?: Problem;
}

const BASE = '/api/v1';
/** After the last event of a task its view may be a moment behind: how long that is waited for, and how often it is looked at. */
const VIEW_LAG_MS = 30_000;
const VIEW_POLL_MS = 20;
/** Where it cannot be looked at, and the server does not say when to come back. */
const VIEW_RETRY_MS = 1_000;

const at = (...parts: readonly string[]): string => [BASE, ...parts.map(encodeURIComponent)].join('/');

/** Lists come as `{ <name>: [...], next_cursor }` or as an array, with `Link: rel="next"`. */
const pageOf = async <T>(response: Response): Promise<Page<T>> => {
  const body = (await response.json()) as Record<string, unknown> | readonly T[];
  const items = Array.isArray(body) ? (body as readonly T[]) : (Object.values(body).find(Array.isArray) as readonly T[] | undefined);
  if (items === undefined)
    throw new Fault('terminal', 'bad_answer', `${response.url} answered no list; is it a DATS server of this version?`);
  const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
  const next = link === undefined ? undefined : (new URL(link, response.url).searchParams.get('cursor') ?? undefined);
  return { items, next };
};

const eventOf = (data: string): DatsEvent => {
  try {
    return JSON.parse(data) as DatsEvent;
  } catch (cause) {
    throw new Fault('terminal', 'bad_answer', 'the event stream held something that is not JSON; is it a DATS server of this version?', {
      cause,
    });
  }
};

export interface ClientOptions extends HttpOptions {
  readonly sleep?: Sleep;
}

export const createClient = (options: ClientOptions) => {
  const http = openHttp(options);
  const pause = options.sleep ?? sleep;

  const get = (id: string, call: CallOptions = {}): Promise<TaskView> => http.json({ path: at('tasks', id), signal: call.signal });

  async function* streamed(open: Open, isLast: (event: DatsEvent) => boolean, following: FollowOptions): AsyncGenerator<FollowedEvent> {
    const isEvent = (kind: string): boolean => kind === 'message' || kind.startsWith('dats.');
    const last = (raw: { readonly event: string; readonly data: string }): boolean => isEvent(raw.event) && isLast(eventOf(raw.data));
    for await (const raw of follow(open, last, { sleep: pause, ...following }))
      if (isEvent(raw.event)) yield { position: raw.id, event: eventOf(raw.data) };
  }

  /** The events of a task from the beginning (or after `lastEventId`) to its last one; with `follow`, for ever. */
  const events = (id: string, following: FollowOptions & { readonly follow?: boolean } = {}): AsyncGenerator<FollowedEvent> =>
    streamed(
      (lastEventId, signal) =>
        http.send({
          path: at('tasks', id, 'events'),
          query: { follow: following.follow },
          signal,
          stream: true,
          headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
        }),
      (event) => following.follow !== true && isTerminal(event.type) && event.subject === id,
      following.follow === true ? following : { isOver: async (signal) => (await get(id, { signal })).completed_at !== null, ...following },
    );

  /**
   * The events of a project, from now or from the beginning, for ever. A cut before the first event leaves no position to resume from: then it is read
   * from the beginning, without what happened before the second in which the first connection was made (by the server's clock).
   */
  async function* projectEvents(
    project: string,
    following: FollowOptions & { readonly from?: 'now' | 'beginning' } = {},
  ): AsyncGenerator<FollowedEvent> {
    const path = at('projects', project, 'events');
    let since: number | undefined;
    const open = async (lastEventId: string | undefined, signal: AbortSignal): Promise<Response> => {
      const from = since === undefined ? following.from : 'beginning';
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const response = await http.send({ path, query: { from }, signal, stream: true, headers });
      if (following.from !== 'beginning') since ??= Date.parse(response.headers.get('date') ?? '') || 0;
      return response;
    };
    for await (const followed of streamed(open, () => false, following))
      if (since === undefined || Date.parse(followed.event.time) >= since) yield followed;
  }

  /** What the model says about a task, as it says it, until the task is over. It may have gaps: what counts are the artifacts. */
  const text = (id: string, following: FollowOptions = {}): AsyncGenerator<TextEvent> =>
    followText(
      (lastEventId, signal) =>
        http.send({
          path: at('tasks', id, 'stream'),
          signal,
          stream: true,
          headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
        }),
      { sleep: pause, ...following },
    );

  /** The task, or how long to wait before it is asked for again: its view may be out of reach for a moment. */
  const lookAt = async (id: string, call: CallOptions): Promise<TaskView | number> => {
    try {
      const view = await get(id, call);
      return ['completed', 'failed', 'cancelled'].includes(view.status) ? view : VIEW_POLL_MS;
    } catch (error) {
      if (!isFault(error, 'retryable')) throw error;
      return Math.max(VIEW_POLL_MS, error.retryAfterMs ?? VIEW_RETRY_MS);
    }
  };

  /** Follows a task to its end and returns how it stands then. */
  const wait = async (
    id: string,
    following: FollowOptions & { readonly onEvent?: (event: FollowedEvent) => void } = {},
  ): Promise<TaskView> => {
    for await (const event of events(id, following)) following.onEvent?.(event);
    for (let waited = 0; ; ) {
      const seen = await lookAt(id, following);
      if (typeof seen !== 'number') return seen;
      waited += seen;
      if (waited > VIEW_LAG_MS)
        throw new Fault(
          'retryable',
          'view_behind',
          `task ${id} has ended, but the server cannot show how yet; look again with: dats get ${id}`,
        );
      await pause(seen, following.signal);
    }
  };

  /** The bytes of an artifact, checked against its digest. @throws Fault `content_corrupt`. */
  const artifactContent = async (
    artifact: { readonly artifact_id: string; readonly sha256: string },
    call: CallOptions = {},
  ): Promise<Uint8Array> => {
    const response = await http.send({
      path: `${at('artifacts', artifact.artifact_id)}/content`,
      signal: call.signal,
      headers: { accept: '*/*' },
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (createHash('sha256').update(bytes).digest('hex') !== artifact.sha256)
      throw new Fault(
        'terminal',
        'content_corrupt',
        `artifact ${artifact.artifact_id} came with other bytes than its digest says; fetch it again`,
      );
    return bytes;
  };

  const list = async (filter: TaskFilter = {}, call: CallOptions = {}): Promise<Page<TaskView>> =>
    pageOf(await http.send({ path: at('tasks'), query: { ...filter }, signal: call.signal }));

  return {
    baseUrl: http.baseUrl,
    http,
    submit: (body: SubmitBody, call: CallOptions & { readonly idempotencyKey?: string | undefined } = {}): Promise<Accepted> =>
      http.json({
        method: 'POST',
        path: at('tasks'),
        json: body,
        signal: call.signal,
        ...(call.idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': call.idempotencyKey } }),
      }),
    /** At most BATCH_LIMIT at once; each is answered by itself. */
    submitBatch: async (bodies: readonly unknown[], call: CallOptions = {}): Promise<readonly BatchAnswer[]> => {
      const text = bodies.map((body) => JSON.stringify(body)).join('\n');
      const response = await http.send({
        method: 'POST',
        path: `${BASE}/tasks:batch`,
        body: { type: 'application/x-ndjson', text },
        signal: call.signal,
      });
      return (await pageOf<BatchAnswer>(response)).items;
    },
    get,
    list,
    /** Every task that fits, page by page. */
    listAll: async function* (filter: TaskFilter = {}, call: CallOptions = {}): AsyncGenerator<TaskView> {
      let cursor = filter.cursor;
      do {
        const page = await list({ ...filter, cursor }, call);
        yield* page.items;
        cursor = page.next;
      } while (cursor !== undefined);
    },
    cancel: (id: string, body: CancelBody = {}, call: CallOptions = {}): Promise<CancelAnswer> =>
      http.json({ method: 'POST', path: at('tasks', id, 'cancel'), json: body, signal: call.signal }),
    events,
    text,
    projectEvents,
    wait,
    artifact: (id: string, call: CallOptions = {}): Promise<ArtifactView> => http.json({ path: at('artifacts', id), signal: call.signal }),
    artifactContent,
    projectStatus: (project: string, call: CallOptions = {}): Promise<ProjectStatus> =>
      http.json({ path: at('projects', project, 'status'), signal: call.signal }),
    deadLetters: async (
      filter: { readonly state?: string | undefined; readonly limit?: number } = {},
      call: CallOptions = {},
    ): Promise<Page<DeadLetter>> => pageOf(await http.send({ path: at('dlq'), query: { ...filter }, signal: call.signal })),
    /** With the original record. */
    deadLetter: (id: string, call: CallOptions = {}): Promise<DeadLetter & { readonly value: string; readonly encoding: string }> =>
      http.json({ path: at('dlq', id), signal: call.signal }),
    resolveDeadLetter: (id: string, how: 'retry' | 'discard', call: CallOptions = {}): Promise<DeadLetter> =>
      http.json({ method: 'POST', path: at('dlq', id, how), json: {}, signal: call.signal }),
    models: async (call: CallOptions = {}): Promise<readonly ModelRow[]> =>
      (await pageOf<ModelRow>(await http.send({ path: at('models'), signal: call.signal }))).items,
    ...historyOf(http),
    ...cascadesOf(http, streamed, pause),
    ...auditOf(http),
    ...configOf(http),
    ...quotasOf(http),
    ...nodesOf(http, pause),
    pause,
    health: (call: CallOptions = {}): Promise<HealthReport> => http.json({ path: '/health', signal: call.signal }),
  };
};
export type DatsClient = ReturnType<typeof createClient>;
