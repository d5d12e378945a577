// What tests ask of a node over HTTP. Thin: answers come back as they are, so that tests can look at status and headers.
import { createParser } from 'eventsource-parser';
import type { DatsEvent, Problem, TaskView } from '../../schemas/index.js';

/** A connection that says nothing for this long is lost, in milliseconds. */
const ANSWER_LIMIT_MS = 15_000;

export interface HttpAnswer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface BatchAnswer {
  readonly results: readonly {
    readonly index: number;
    readonly status: number;
    readonly task?: { readonly task_id: string };
    readonly problem?: Problem;
  }[];
}

export interface StreamedEvent {
  /** Position, as `Last-Event-ID` wants it. */
  readonly id: string;
  readonly type: string;
  readonly event: DatsEvent;
}

export interface StreamOptions {
  readonly lastEventId?: string | undefined;
  readonly signal?: AbortSignal;
  /** The node has answered; events may come at any time, or not for long. */
  readonly onOpen?: () => void;
}

export type Api = ReturnType<typeof apiOf>;

export const apiOf = (url: string) => {
  const ask = async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer<T>> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
  };
  const wanted = async <T>(status: number, answer: Promise<HttpAnswer<T>>): Promise<T> => {
    const { status: got, body } = await answer;
    if (got !== status) throw new Error(`HTTP ${got} instead of ${status}: ${JSON.stringify(body)}`);
    return body;
  };

  return {
    url,
    ask,
    submit: (body: object, key?: string) =>
      ask<{ task_id: string; project_id: string } & Problem>(
        'POST',
        '/api/v1/tasks',
        body,
        key === undefined ? {} : { 'idempotency-key': key },
      ),
    /** @returns the id. @throws when it was not taken. */
    submitted: async (body: object): Promise<string> =>
      (await wanted(202, ask<{ task_id: string }>('POST', '/api/v1/tasks', body))).task_id,
    /** @returns the ids in order. @throws when any was not taken. */
    submittedAll: async (bodies: readonly object[]): Promise<string[]> => {
      const { results } = await wanted(200, ask<BatchAnswer>('POST', '/api/v1/tasks:batch', bodies));
      return results.map(({ task, problem }) => {
        if (task === undefined) throw new Error(`a task of the batch was not taken: ${JSON.stringify(problem)}`);
        return task.task_id;
      });
    },
    task: (id: string): Promise<TaskView> => wanted(200, ask<TaskView>('GET', `/api/v1/tasks/${id}`)),
    cancel: (id: string) =>
      ask<{ outcome: 'cancelled' | 'already_final' | 'requested' } & Problem>('POST', `/api/v1/tasks/${id}/cancel`, {
        reason: 'by the test',
      }),
    /** Events of `/api/v1/...` as they come, until the stream ends or `signal` aborts. Throws when the connection is lost. */
    async *stream(path: string, options: StreamOptions = {}): AsyncGenerator<StreamedEvent> {
      const response = await fetch(`${url}${path}`, {
        headers: options.lastEventId === undefined ? {} : { 'last-event-id': options.lastEventId },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
      options.onOpen?.();
      const waiting: StreamedEvent[] = [];
      const parser = createParser({
        onEvent: ({ id, event, data }) => {
          if (event === 'reset') throw new Error(`the stream was reset: ${data}`);
          waiting.push({ id: id ?? '', type: event ?? '', event: JSON.parse(data) as DatsEvent });
        },
      });
      const decoder = new TextDecoder();
      for await (const chunk of response.body!) {
        parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
        yield* waiting.splice(0);
      }
    },
  };
};

export const isFinal = (view: Pick<TaskView, 'status'>): boolean =>
  view.status === 'completed' || view.status === 'failed' || view.status === 'cancelled';
