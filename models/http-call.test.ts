import { describe, expect, it } from 'vitest';
import type { Fault } from '../schemas/index.js';
import { systemClock } from './clock.js';
import { LARGEST_ANSWER_BYTES, openHttpCall } from './http-call.js';
import { openOllamaServer } from './testing/ollama-server.js';
import { type HttpAnswer, type HttpRequest, nodeTransport, type Transport } from './transport.js';

const LIMITS = { idle_timeout_ms: 10_000, timeout_ms: 10_000 };
const ACCEPTS = ['application/json'];

const URL = 'http://127.0.0.1/';

const callWith = (transport: Transport, traceparent?: string) =>
  openHttpCall(
    { model: 'm', limits: LIMITS, clock: systemClock, accepts: ACCEPTS, transport, ...(traceparent && { traceparent }) },
    new AbortController().signal,
  );

const faultOf = async (transport: Transport, url = URL): Promise<Fault> => {
  const call = callWith(transport);
  try {
    await (await call.fetch(url)).arrayBuffer();
  } catch (error) {
    return call.explain(error) as Fault;
  } finally {
    call.close();
  }
  throw new Error('it did not fail');
};

const answering = (read: HttpAnswer['read']): Transport => {
  return () => ({ answer: Promise.resolve({ status: 200, headers: {}, read }), cancel: () => {} });
};

describe('a call over HTTP', () => {
  it('says which trace it is part of, beside the headers of the package', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const seen: HttpRequest['headers'][] = [];
    const transport: Transport = (request) => {
      seen.push(request.headers);
      return answering(async () => undefined)(request);
    };
    for (const call of [callWith(transport, traceparent), callWith(transport)]) {
      await call.fetch(URL, { headers: { authorization: 'Bearer key' } });
      call.close();
    }
    expect(seen).toEqual([{ authorization: 'Bearer key', traceparent }, { authorization: 'Bearer key' }]);
  });

  it('ends an answer without an end', async () => {
    const piece = new Uint8Array(8 * 1024 * 1024);
    let sent = 0;
    const endless = async () => {
      sent += piece.byteLength;
      return piece;
    };
    const fault = await faultOf(answering(endless));
    expect(fault).toMatchObject({ code: 'model_garbage', kind: 'retryable' });
    expect(sent).toBeLessThan(LARGEST_ANSWER_BYTES + 4 * piece.byteLength);
  });

  it('does not repeat a password of the address', async () => {
    const fault = await faultOf(nodeTransport, 'http://user:pass-word@127.0.0.1:1/');
    expect(fault).toMatchObject({ code: 'model_unreachable' });
    expect(`${fault.message} ${fault.stack} ${String(fault.cause)}`).not.toContain('pass-word');
  });

  it('names the network error by its code', async () => {
    const gone = await openOllamaServer();
    await gone.close();
    expect((await faultOf(nodeTransport, gone.url)).message).toMatch(/^model m: ECONNREFUSED: nobody listens there; .*: no connection/);
  });
});
