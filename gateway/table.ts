// The route table: one entry drives routing, validation and the OpenAPI document, so that they cannot drift apart.
import type { z } from 'zod';
import type { RequestTrace } from './middleware/trace.js';
import type { ProblemCode, SuccessStatus } from './problem.js';
import type { Services } from './services.js';

export type Method = 'GET' | 'POST' | 'PUT';
export type Tag =
  | 'tasks'
  | 'projects'
  | 'artifacts'
  | 'cascades'
  | 'agents'
  | 'models'
  | 'openai'
  | 'budgets'
  | 'dead letters'
  | 'history'
  | 'configuration'
  | 'nodes'
  | 'health'
  | 'documents';

/** A request after validation. */
export interface Call<P = unknown, Q = unknown, B = unknown> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly correlationId: string;
  /** The span that this request is, where requests are spans. */
  readonly trace: RequestTrace | undefined;
  /** Path and query as they came. */
  readonly target: string;
  /** @returns null when the header is not there. */
  header(name: string): string | null;
  /** Aborts when the client goes away. */
  signal(): AbortSignal;
  /** Cuts the connection, where there is one. */
  disconnect(): void;
}

export interface Answer {
  readonly status: number;
  /** Fresh for every answer: the dispatcher adds to it. */
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
}

export interface Success {
  readonly status: SuccessStatus;
  readonly description: string;
  readonly contentType?: string;
  /** Schema of the answer; for event streams prose is in the description. */
  readonly schema?: z.ZodType;
  readonly example?: unknown;
  /** Header name -> what it says. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a family of routes has of its own where it follows another API: how its errors look, and whether it is there at all. */
export interface Surface {
  /** Asked before anything of a request is read. @throws Fault where it is turned off. */
  admit(services: Services): void;
  /** An error as this API says it. */
  refusal(error: unknown, correlationId: string): Answer;
  /** Its error answers in the OpenAPI document, by status. */
  readonly refusals: Readonly<Record<string, DocumentedAnswer>>;
}

export interface DocumentedAnswer {
  readonly description: string;
  readonly schema: z.ZodType;
  /** Header name -> what it says. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly examples: Readonly<Record<string, { readonly value: unknown }>>;
}

export interface RouteSpec<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly method: Method;
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  readonly params?: P;
  readonly query?: Q;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: B; readonly example: unknown; readonly ndjson?: boolean; readonly optional?: boolean };
  /** Waits for a model or for history, or goes through many tasks: has a time limit of its own instead of the one of every request. */
  readonly patient?: boolean;
  /** Says something about tasks, in a trace: is a span itself where requests are. */
  readonly traced?: boolean;
  /** Absent: ours, with problem+json. */
  readonly surface?: Surface;
  readonly success: readonly Success[];
  /** Empty where a surface says its errors. */
  readonly problems: readonly ProblemCode[];
  handle(call: Call<z.infer<P>, z.infer<Q>, z.infer<B>>, services: Services): Promise<Answer> | Answer;
}

export interface Route extends Omit<RouteSpec<z.ZodType, z.ZodType, z.ZodType>, 'handle'> {
  handle(call: Call, services: Services): Promise<Answer> | Answer;
}

/** Checks that a handler fits its schemas, then forgets the types: the dispatcher hands it only what passed them. */
export const route = <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(spec: RouteSpec<P, Q, B>): Route =>
  spec as unknown as Route;

export const JSON_TYPE = 'application/json; charset=utf-8';

/** Present on lists and figures that are not up to date. */
export const BEHIND_HEADER = 'Dats-Views-Behind';
export const BEHIND_SAYS = 'Where the answer is not up to date: how many records of the log are not in it yet.';

export const sayBehind = (answer: Answer, records: number): void => {
  if (records > 0) answer.headers[BEHIND_HEADER] = String(records);
};

export const json = (status: number, value: unknown): Answer => ({
  status,
  headers: { 'content-type': JSON_TYPE },
  body: JSON.stringify(value),
});
