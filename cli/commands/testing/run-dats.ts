// For tests: the command line against a small server, with nobody at the terminal unless the test says so.
import { runCli } from '../../program.js';
import { type Handler, type KeptIo, keepIo, openTestServer, type TestServer } from '../../testing.js';

export const NOW = Date.parse('2026-11-21T12:00:00.000Z');

export interface RunDats {
  (argv: readonly string[], options?: Partial<KeptIo>): Promise<{ code: number; out: string; err: string }>;
  serve(handler: Handler): Promise<void>;
  /** After each test. */
  close(): Promise<void>;
  readonly requests: TestServer['requests'];
  /** Bodies of what was posted to an address below /api/v1, and whether a key went with it. */
  posted(path: string): { readonly body: unknown; readonly keyed: boolean }[];
}

export const openRunDats = (): RunDats => {
  let server: TestServer | undefined;
  const dats = async (argv: readonly string[], options: Partial<KeptIo> = {}) => {
    const io = keepIo({ now: () => NOW, ...options });
    const loadStartNode = (): Promise<never> => Promise.reject(new Error('no node is started where an address is given'));
    const code = await runCli([...argv, '--url', server?.url ?? 'http://127.0.0.1:1'], io, { loadStartNode, sleep: async () => undefined });
    return { code, ...io.printed };
  };
  return Object.defineProperty(
    Object.assign(dats, {
      serve: async (handler: Handler) => {
        server = await openTestServer(handler);
      },
      close: async () => {
        await server?.close();
        server = undefined;
      },
      posted: (path: string) =>
        server!.requests
          .filter((request) => request.method === 'POST' && request.url === `/api/v1/${path}`)
          .map(({ body, idempotencyKey }) => ({ body: JSON.parse(body) as unknown, keyed: idempotencyKey !== undefined })),
    }),
    'requests',
    { get: () => server!.requests },
  ) as RunDats;
};
