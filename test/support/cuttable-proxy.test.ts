import { createServer, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type CuttableProxy, openProxy } from './cuttable-proxy.js';
import { eventually } from './eventually.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const open = async () => {
  const seen: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    seen.push(request.url!);
    response.end(`answer to ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const proxy = await openProxy(port);
  ends.push(() => proxy.close());
  return { seen, proxy, port };
};
const ask = async ({ url }: CuttableProxy, path: string, ms = 5_000): Promise<string> =>
  (await fetch(`${url}${path}`, { signal: AbortSignal.timeout(ms) })).text();
const code = (error: { cause?: { code?: string }; name?: string }): string => error.cause?.code ?? error.name ?? '';

describe('the line', () => {
  it('lets through what is sent, and takes its time where it is told to', async () => {
    const { proxy } = await open();
    expect(await ask(proxy, '/a')).toBe('answer to /a');
    proxy.delay(120);
    const began = performance.now();
    expect(await ask(proxy, '/b')).toBe('answer to /b');
    expect(performance.now() - began).toBeGreaterThan(230);
  });

  it('swallows everything, or what comes back, and is well afterwards', async () => {
    const { seen, proxy } = await open();
    proxy.swallow('both');
    await expect(ask(proxy, '/lost', 200)).rejects.toMatchObject({ name: 'TimeoutError' });
    proxy.swallow('answers');
    await expect(ask(proxy, '/taken', 300)).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(seen).toEqual(['/taken']);
    await proxy.pass();
    // A connection that lay idle when the line broke is dead, and somebody may try it first.
    expect(await eventually('an answer', 5_000, () => ask(proxy, '/c', 300))).toBe('answer to /c');
  });

  it('refuses, and comes back at the same port', async () => {
    const { proxy } = await open();
    await ask(proxy, '/a');
    await proxy.refuse();
    expect(code(await ask(proxy, '/b').catch((error) => error))).toMatch(/ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET/);
    expect(code(await ask(proxy, '/b').catch((error) => error))).toBe('ECONNREFUSED');
    await proxy.pass();
    expect(await ask(proxy, '/c')).toBe('answer to /c');
  });

  it.each(['rst', 'fin'] as const)('ends connections with %s', async (how) => {
    const { proxy } = await open();
    proxy.swallow('answers');
    const asked = ask(proxy, '/a').catch((error) => code(error));
    await eventually('a connection', 5_000, () => proxy.made === 1);
    proxy.cut(how);
    expect(await asked).toMatch(how === 'rst' ? /ECONNRESET|UND_ERR_SOCKET/ : /UND_ERR_SOCKET/);
    await proxy.pass();
    expect(await ask(proxy, '/b')).toBe('answer to /b');
  });

  it('leads to the first of several that is there, whoever that is when a connection is made', async () => {
    const [first, second] = [await open(), await open()];
    const toEither = await openProxy([first.proxy.port, second.port]);
    ends.push(() => toEither.close());
    await ask(toEither, '/a');
    await first.proxy.refuse();
    await eventually('an answer of the second', 5_000, () => ask(toEither, '/b'));
    expect([first.seen, second.seen, toEither.target]).toEqual([['/a'], ['/b'], second.port]);
    await first.proxy.pass();
    toEither.cut('rst');
    await eventually('an answer of the first', 5_000, () => ask(toEither, '/c'));
    expect([first.seen, toEither.target]).toEqual([['/a', '/c'], first.proxy.port]);
    await Promise.all([first.proxy.refuse(), second.proxy.refuse()]);
    const none = await openProxy([first.proxy.port, second.proxy.port]);
    ends.push(() => none.close());
    expect(code(await ask(none, '/d').catch((error) => error))).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
  });
});
