import { describe, expect, it } from 'vitest';
import type { Fault } from '../schemas/index.js';
import { systemClock } from './clock.js';
import { LARGEST_ANSWER_BYTES, openHttpCall } from './http-call.js';
import { openOllamaServer } from './testing/ollama-server.js';

const LIMITS = { idle_timeout_ms: 10_000, timeout_ms: 10_000 };
const ACCEPTS = ['application/json'];

const callWith = (fetch: typeof globalThis.fetch) =>
  openHttpCall({ model: 'm', limits: LIMITS, clock: systemClock, accepts: ACCEPTS, fetch }, new AbortController().signal);

const faultOf = async (fetch: typeof globalThis.fetch, url = 'http://127.0.0.1/'): Promise<Fault> => {
  const call = callWith(fetch);
  try {
    await (await call.fetch(url)).arrayBuffer();
  } catch (error) {
    return call.explain(error) as Fault;
  } finally {
    call.close();
  }
  throw new Error('it did not fail');
};

describe('a call over HTTP', () => {
  it('says which trace it is part of, beside the headers of the package', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const seen: Headers[] = [];
    const fetch = async (_: unknown, init?: RequestInit) => {
      seen.push(new Headers(init?.headers));
      return new Response('{}');
    };
    const options = { model: 'm', limits: LIMITS, clock: systemClock, accepts: ACCEPTS, fetch };
    for (const call of [openHttpCall({ ...options, traceparent }, new AbortController().signal), callWith(fetch)]) {
      await (await call.fetch('http://127.0.0.1/', { headers: { authorization: 'Bearer key' } })).arrayBuffer();
      call.close();
    }
    expect(seen.map((headers) => [headers.get('authorization'), headers.get('traceparent')])).toEqual([
      ['Bearer key', traceparent],
      ['Bearer key', null],
    ]);
  });

  it('ends an answer without an end', async () => {
    const piece = new Uint8Array(8 * 1024 * 1024);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (out) => {
        sent += piece.byteLength;
        out.enqueue(piece);
      },
    });
    const fault = await faultOf(async () => new Response(endless));
    expect(fault).toMatchObject({ code: 'model_garbage', kind: 'retryable' });
    expect(sent).toBeLessThan(LARGEST_ANSWER_BYTES + 4 * piece.byteLength);
  });

  it('does not repeat a password of the address', async () => {
    const fault = await faultOf(fetch, 'http://user:pass-word@127.0.0.1:1/');
    expect(fault).toMatchObject({ code: 'model_unreachable' });
    expect(`${fault.message} ${fault.stack} ${String(fault.cause)}`).not.toContain('pass-word');
  });

  it('names the network error by its code', async () => {
    const gone = await openOllamaServer();
    await gone.close();
    expect((await faultOf(fetch, gone.url)).message).toMatch(/^model m: ECONNREFUSED: nobody listens there; .*: no connection/);
  });
});
