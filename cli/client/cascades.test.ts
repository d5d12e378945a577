// The part of the client that follows cascades and waits for rollbacks, against a small server.
import { afterEach, describe, expect, it } from 'vitest';
import { aCascade, aRollback, CASCADE_EVENTS, recoveryServer } from '../commands/testing/recovery-server.js';
import { answerJson, type Handler, openTestServer, sseOf, type TestServer } from '../testing.js';
import { createClient, type Sleep } from './index.js';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
const open = async (handler: Handler) => {
  server = await openTestServer(handler);
  const pauses: number[] = [];
  const sleep: Sleep = async (ms, signal) => {
    signal?.throwIfAborted();
    pauses.push(ms);
  };
  return { client: createClient({ baseUrl: server.url, sleep }), requests: server.requests, pauses };
};
const head = { 'content-type': 'text/event-stream' };
const frames = (from: number, to: number): string =>
  CASCADE_EVENTS.slice(from, to)
    .map((event, i) => sseOf(7 + from + i, event))
    .join('');

describe('following a cascade', () => {
  it('goes on after a cut where it was, and ends after its last event', async () => {
    let connections = 0;
    const { client, requests } = await open((_request, response) => {
      response.writeHead(200, head);
      if (++connections === 1) response.write(frames(0, 2), () => response.destroy());
      else response.write(frames(1, 5));
    });
    const seen: string[] = [];
    for await (const { position } of client.cascadeEvents('c1')) seen.push(position);
    expect(seen).toEqual(['p0-7', 'p0-8', 'p0-9', 'p0-10', 'p0-11']);
    expect(requests.map(({ lastEventId }) => lastEventId)).toEqual([undefined, 'p0-8']);
  });

  it('does not end with the end of another cascade', async () => {
    const other = { ...CASCADE_EVENTS[4]!, data: { ...CASCADE_EVENTS[4]!.data, cascade_id: 'c0' } } as never;
    const { client } = await open((_request, response) => response.writeHead(200, head).write(sseOf(5, other) + frames(4, 5)));
    const seen: string[] = [];
    for await (const { position } of client.cascadeEvents('c1')) seen.push(position);
    expect(seen).toEqual(['p0-5', 'p0-11']);
  });

  it('ends where the server has no more to tell and the cascade is over', async () => {
    const { client } = await open((request, response) =>
      request.url!.endsWith('/events') ? response.writeHead(200, head).end() : answerJson(response, 200, aCascade()),
    );
    const seen: unknown[] = [];
    for await (const event of client.cascadeEvents('c1')) seen.push(event);
    expect(seen).toEqual([]);
  });
});

describe('waiting for the end', () => {
  it('looks until it is over', async () => {
    const rollbacks = [aRollback({ state: 'running', completed_at: null }), aRollback()];
    const { client, pauses } = await open(recoveryServer({ rollbacks }));
    const states: string[] = [];
    expect(await client.waitForRollback('r1', { onLook: ({ state }) => states.push(state) })).toEqual(aRollback());
    expect(states).toEqual(['running', 'completed']);
    expect(pauses).toHaveLength(1);
  });

  it('gives up a server that stays away, and at once what no retry mends', async () => {
    const away = await open((request) => request.socket.destroy());
    await expect(away.client.waitForCascade('c1')).rejects.toMatchObject({ code: 'server_unreachable' });
    expect(away.pauses.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(60_000);
    await server?.close();
    const { client, pauses } = await open((_request, response) =>
      answerJson(response, 404, {
        type: '/problems/rollback-not-found',
        title: 'T',
        status: 404,
        detail: 'd',
        correlation_id: 'c',
        retryable: false,
      }),
    );
    await expect(client.waitForRollback('r1')).rejects.toMatchObject({ code: 'rollback_not_found' });
    expect(pauses).toEqual([]);
  });

  it('ends when it is not wanted any more', async () => {
    const stop = new AbortController();
    const { client } = await open(recoveryServer({ rollbacks: [aRollback({ state: 'running', completed_at: null })] }));
    const reason = new Error('enough');
    await expect(client.waitForRollback('r1', { signal: stop.signal, onLook: () => stop.abort(reason) })).rejects.toBe(reason);
  });
});

it('a change goes with its key, a look without one', async () => {
  const { client, requests } = await open(recoveryServer({ begins: null }));
  await client.taint({ artifact_id: 'a', reason: 'r' }, { idempotencyKey: 'k' });
  await client.rollback({ task_id: 't', dry_run: true });
  await client.cascades({ project_id: 'p', limit: 3 });
  expect(requests.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['k', undefined, undefined]);
  expect(requests[2]!.url).toBe('/api/v1/cascades?project_id=p&limit=3');
});
