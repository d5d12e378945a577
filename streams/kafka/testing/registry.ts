// For tests: subjects of a test's own at the running registry, plain questions to it, and a way to it that can be cut.
import { randomBytes, randomInt } from 'node:crypto';
import { createServer, request, type Server } from 'node:http';
import { testRegistry } from './servers.js';

const JSON_TYPE = { 'content-type': 'application/vnd.schemaregistry.v1+json' };

export interface Answered {
  readonly status: number;
  readonly body: unknown;
}

export const askRegistry = async (path: string, method = 'GET', body?: object): Promise<Answered> => {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(testRegistry() + path, { method, headers: JSON_TYPE, signal: AbortSignal.timeout(10_000), ...sent });
  return { status: response.status, body: await response.json() };
};

/** As another program would register it. */
export const registerText = (subject: string, text: string): Promise<Answered> =>
  askRegistry(`/subjects/${subject}/versions`, 'POST', { schemaType: 'JSON', schema: text });

export const subjectPrefix = (): string => `t${randomBytes(5).toString('hex')}.`;

export const subjectsUnder = async (prefix: string): Promise<readonly string[]> =>
  ((await askRegistry('/subjects')).body as string[]).filter((subject) => subject.startsWith(prefix)).sort();

export const removeSubjects = async (prefix: string): Promise<void> => {
  for (const subject of await subjectsUnder(prefix)) await askRegistry(`/subjects/${subject}`, 'DELETE');
};

export interface RegistryProxy {
  /** The registry's URL through the proxy; nobody listens there before `open`. */
  readonly url: string;
  /** `<method> <path>` of what came through. */
  readonly requests: readonly string[];
  open(): Promise<void>;
  close(): Promise<void>;
}

const listen = (server: Server, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });

const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.closeAllConnections();
    server.close(() => resolve());
  });

/** Below the ports of outgoing connections, so that nobody is given it before the proxy opens. */
const unusedPort = async (): Promise<number> => {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const probe = createServer();
    if (!(await listen(probe, port))) continue;
    await stop(probe);
    return port;
  }
};

/** A real way to the registry, closed at first. `answer` may answer in its stead. */
export const registryProxy = async (
  answer: (method: string, path: string) => Answered | undefined = () => undefined,
): Promise<RegistryProxy> => {
  const target = new URL(testRegistry());
  const port = await unusedPort();
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    requests.push(`${method} ${path}`);
    const answered = answer(method, path);
    if (answered !== undefined) {
      outgoing.writeHead(answered.status, { 'content-type': 'application/json' }).end(JSON.stringify(answered.body));
      return;
    }
    const onward = request(
      { host: target.hostname, port: target.port, method, path, headers: { ...headers, host: target.host } },
      (back) => {
        outgoing.writeHead(back.statusCode ?? 502, back.headers);
        back.pipe(outgoing);
      },
    );
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  return {
    url: `http://127.0.0.1:${port}${target.pathname}`,
    requests,
    open: async () => {
      if (!(await listen(server, port))) throw new Error(`port ${port} was taken meanwhile; run the test again`);
    },
    close: () => stop(server),
  };
};
