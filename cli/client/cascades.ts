// The part of the client that says what is bad, follows what comes of it, takes back, and looks at a project as it was.
import type { z } from 'zod';
import type {
  CascadeAnswer,
  CascadeView,
  cascadeCancelSchema,
  cascadeListQuerySchema,
  DatsEvent,
  ImpactAnswer,
  impactQuerySchema,
  ProjectState,
  RollbackAnswer,
  RollbackView,
  rejectTaskAnswerSchema,
  rejectTaskSchema,
  rollbackListQuerySchema,
  rollbackSchema,
  securityAlertAnswerSchema,
  securityAlertSchema,
  TaintAnswer,
  taintSchema,
} from '../../schemas/index.js';
import { isFault } from '../../schemas/index.js';
import { type FollowOptions, type Open, RECONNECT_FOR_MS } from './events.js';
import type { Http } from './http.js';
import type { Sleep } from './wait.js';

const BASE = '/api/v1';
/** To find what can be reached from many roots, or what stood at some instant, takes as long as the history is; milliseconds. */
const FOLD_MS = 120_000;
/** Between two looks at what goes on, milliseconds. */
const LOOK_MS = 250;

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}
/** Under one key the same is begun once, however often it is sent. */
type ChangeOptions = CallOptions & { readonly idempotencyKey?: string | undefined };

export type TaintRequest = z.input<typeof taintSchema>;
export type RollbackRequest = z.input<typeof rollbackSchema>;
export type SecurityAlertRequest = z.input<typeof securityAlertSchema>;
export type SecurityAlertAnswer = z.infer<typeof securityAlertAnswerSchema>;
export type RejectRequest = z.input<typeof rejectTaskSchema>;
export type RejectAnswer = z.infer<typeof rejectTaskAnswerSchema>;
type Query<S extends z.ZodType> = { readonly [K in keyof z.infer<S>]?: z.infer<S>[K] | undefined };

/** An event with its place in the stream. */
interface Followed {
  readonly position: string;
  readonly event: DatsEvent;
}
export type Streamed = (open: Open, isLast: (event: DatsEvent) => boolean, following: FollowOptions) => AsyncGenerator<Followed>;

const at = (...parts: readonly string[]): string => [BASE, ...parts.map(encodeURIComponent)].join('/');

interface Lasting {
  readonly completed_at: string | null;
}
export interface WaitOptions<T> extends CallOptions {
  readonly onLook?: (view: T) => void;
}

/** Looks until it is over; a server that is away is looked for again until `RECONNECT_FOR_MS` have been waited in vain. */
const settled = async <T extends Lasting>(look: () => Promise<T>, pause: Sleep, { signal, onLook }: WaitOptions<T>): Promise<T> => {
  for (let lostMs = 0; ; ) {
    try {
      const view = await look();
      lostMs = 0;
      onLook?.(view);
      if (view.completed_at !== null) return view;
    } catch (error) {
      if (!isFault(error, 'retryable') || lostMs > RECONNECT_FOR_MS) throw error;
      lostMs += LOOK_MS;
    }
    await pause(LOOK_MS, signal);
  }
};

export const cascadesOf = (http: Http, streamed: Streamed, pause: Sleep) => {
  const change = <T>(path: string, json: unknown, { signal, idempotencyKey }: ChangeOptions): Promise<T> =>
    http.json({
      method: 'POST',
      path,
      json,
      signal,
      timeoutMs: FOLD_MS,
      ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
    });
  const read = <T>(path: string, { signal }: CallOptions, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> =>
    http.json({ path, query: { ...query }, signal, timeoutMs: FOLD_MS });

  const cascade = (id: string, call: CallOptions = {}): Promise<CascadeAnswer> => read(at('cascades', id), call);
  const rollbackView = (id: string, call: CallOptions = {}): Promise<RollbackView> => read(at('rollbacks', id), call);

  return {
    /** Says that something is bad, and begins a cascade in each project that has some of it; with `dry_run` only says what that would reach. */
    taint: (body: TaintRequest, call: ChangeOptions = {}): Promise<TaintAnswer> => change(at('taint'), body, call),
    /** What was made from an artifact, or from what a task made; `up`: what it was made from. */
    impact: (id: string, query: Query<typeof impactQuerySchema> = {}, call: CallOptions = {}): Promise<ImpactAnswer> =>
      read(at('impact', id), call, query),
    cascade,
    /** Newest first. */
    cascades: async (query: Query<typeof cascadeListQuerySchema> = {}, call: CallOptions = {}): Promise<readonly CascadeView[]> =>
      (await read<{ cascades: CascadeView[] }>(at('cascades'), call, query)).cascades,
    cancelCascade: (id: string, body: z.input<typeof cascadeCancelSchema> = {}, call: ChangeOptions = {}): Promise<CascadeView> =>
      change(at('cascades', id, 'cancel'), body, call),
    /** The events of a cascade from the beginning (or after `lastEventId`) to its last one. */
    cascadeEvents: (id: string, following: FollowOptions = {}): AsyncGenerator<Followed> =>
      streamed(
        (lastEventId, signal) =>
          http.send({
            path: at('cascades', id, 'events'),
            signal,
            stream: true,
            headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
          }),
        (event) => event.type === 'dats.cascade.completed' && event.data.cascade_id === id,
        { isOver: async (signal) => (await cascade(id, { signal })).completed_at !== null, ...following },
      ),
    /** How it stands when it is over. */
    waitForCascade: (id: string, options: WaitOptions<CascadeAnswer> = {}): Promise<CascadeAnswer> =>
      settled(() => cascade(id, options), pause, options),
    /** Takes back; with `dry_run` only says what that would change. */
    rollback: (body: RollbackRequest, call: ChangeOptions = {}): Promise<RollbackAnswer> => change(at('rollback'), body, call),
    rollbackView,
    /** How it stands when it is over. */
    waitForRollback: (id: string, options: WaitOptions<RollbackView> = {}): Promise<RollbackView> =>
      settled(() => rollbackView(id, options), pause, options),
    /** Newest first. */
    rollbacks: async (query: Query<typeof rollbackListQuerySchema> = {}, call: CallOptions = {}): Promise<readonly RollbackView[]> =>
      (await read<{ rollbacks: RollbackView[] }>(at('rollbacks'), call, query)).rollbacks,
    /** Files and tasks of a project as they are, or as they were: an instant (RFC 3339), a position, or the id of an event. */
    projectState: (project: string, asOf?: string | undefined, call: CallOptions = {}): Promise<ProjectState> =>
      read(at('projects', project, 'state'), call, { at: asOf }),
    securityAlert: (body: SecurityAlertRequest, call: ChangeOptions = {}): Promise<SecurityAlertAnswer> =>
      change(at('security-alerts'), body, call),
    rejectTask: (id: string, body: RejectRequest, call: ChangeOptions = {}): Promise<RejectAnswer> =>
      change(at('tasks', id, 'reject'), body, call),
  };
};
