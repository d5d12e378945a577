import { afterEach, describe, expect, it } from 'vitest';
import { answerJson, type Handler, openTestServer, type TestServer } from '../testing.js';
import { linesOf } from './audit.js';
import { createClient } from './client.js';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
const clientOf = async (handler: Handler) => {
  server = await openTestServer(handler);
  return createClient({ baseUrl: server.url });
};
const all = async (lines: AsyncIterable<string>): Promise<string[]> => {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
};
async function* chunksOf(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('lines', () => {
  it('are the same however the bytes come, and only a line feed ends one', async () => {
    const text = '{"a":"é\u2028✓"}\n\n{"b":"x\ry"}\n\ufefflast';
    for (let size = 1; size < 12; size++) expect(await all(linesOf(chunksOf(text, size)))).toEqual(text.split('\n'));
    expect(await all(linesOf(chunksOf('a\nb\n', 3)))).toEqual(['a', 'b']);
    expect(await all(linesOf(chunksOf('', 1)))).toEqual([]);
  });
});

describe('what the client asks of signed history', () => {
  it('has a project with it, and no more than was said', async () => {
    const client = await clientOf((_request, response) => answerJson(response, 200, {}));
    await client.auditReport('web site');
    await client.auditCheckpoints('p', 3);
    await client.auditProof({ event_id: 'e', project_id: undefined });
    await client.auditProof({ offset: 0, project_id: 'p' });
    expect(server!.requests.map(({ url }) => url.replace('/api/v1/audit/', ''))).toEqual([
      'verify?project_id=web+site',
      'checkpoints?project_id=p&limit=3',
      'proof?event_id=e',
      'proof?offset=0&project_id=p',
    ]);
  });

  it('the key is at the head of any bundle; the rest is not waited for', async () => {
    let left: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    const client = await clientOf((_request, response) => {
      response.on('close', left);
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write('{"vkey":"k","origin":"o","project":"default"}\n{"event"');
    });
    expect(await client.auditKey()).toBe('k');
    await gone;
  });

  it('an answer that is no bundle gives no key', async () => {
    const client = await clientOf((_request, response) => response.end('<html>'));
    await expect(client.auditKey()).rejects.toMatchObject({ code: 'bad_answer' });
  });

  it('a bundle that is cut off is an error, after the lines that came', async () => {
    const client = await clientOf((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write('{"vkey":"k"}\n', () => response.destroy());
    });
    const lines = client.auditBundle('p');
    expect(await lines.next()).toMatchObject({ value: '{"vkey":"k"}' });
    await expect(lines.next()).rejects.toMatchObject({ kind: 'retryable', code: 'bundle_cut_off' });
  });
});
