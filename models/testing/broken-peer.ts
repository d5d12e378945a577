// Peers that are no model server, or one that cannot be reached as configured: small real sockets. Each begins after it has read something of the request,
// and some give back what they were sent, headers and all.
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export const PEERS = [
  'refused', // nobody listens
  'self_signed', // TLS with a certificate that nobody trusts
  'plain', // HTTP where https:// is expected
  'tls', // TLS where http:// is expected
  'reset', // the connection is cut at once
  'closed', // it ends in order, without an answer
  'echo', // gives the request back as it came
  'bad_chunk', // a body that is not what its header says
  'short_body', // less than its header says
  'error_echo', // 400, and in the body what it was sent
  'page_echo', // 200, a page with what it was sent
] as const;
export type Peer = (typeof PEERS)[number];

/** Of `models.example`, for tests alone, until 2120. */
const KEY = `
  -----BEGIN EC PRIVATE KEY-----
  MHcCAQEEIHKWVdY6Db58ecjmiaoz+WZZlx/InfTYSI5AiSGyd7WZoAoGCCqGSM49
  AwEHoUQDQgAETXY4nUcFQxV4CiNwDeuATUSYGCWJsovm8Fw4O6q0yPUEnoOZs08p
  118A9VdXr+FrlORXxKCGxhJXPt0eA86Y2Q==
  -----END EC PRIVATE KEY-----
`;
const CERTIFICATE = `
  -----BEGIN CERTIFICATE-----
  MIIBTTCB9aADAgECAgEBMAoGCCqGSM49BAMCMBkxFzAVBgNVBAMMDm1vZGVscy5l
  eGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAZMRcwFQYD
  VQQDDA5tb2RlbHMuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABE12
  OJ1HBUMVeAojcA3rgE1EmBglibKL5vBcODuqtMj1BJ6DmbNPKddfAPVXV6/ha5Tk
  V8SghsYSVz7dHgPOmNmjLDAqMAkGA1UdEwQCMAAwHQYDVR0OBBYEFEbma0jkDh1y
  sqFsQcwwD57YJT3aMAoGCCqGSM49BAMCA0cAMEQCIEj7U0Se7Cg1rXWtvG3tvjFd
  Mq1cw0feKOVgnEMSyzIVAiBxeuU8jXrGfetyDkRYXw0oXmrrwR/IlISOFwnrTOIg
  Zg==
  -----END CERTIFICATE-----
`;

const json = (request: string): string => JSON.stringify({ error: { message: request, type: request, code: null, param: request } });

const head = (status: string, type: string, length: number): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`;

const ANSWERS: Readonly<Partial<Record<Peer, (socket: Socket, request: string) => void>>> = {
  plain: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
  reset: (socket) => socket.resetAndDestroy(),
  closed: (socket) => socket.end(),
  echo: (socket, request) => socket.end(request),
  bad_chunk: (socket, request) =>
    socket.end(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${request}\r\n${request}`),
  short_body: (socket, request) => socket.end(`${head('200 OK', 'application/json', 1_000_000)}${json(request)}`),
  error_echo: (socket, request) =>
    socket.end(`${head('400 Bad Request', 'application/json', Buffer.byteLength(json(request)))}${json(request)}`),
  page_echo: (socket, request) => socket.end(`${head('200 OK', 'text/html', Buffer.byteLength(request))}${request}`),
};

export interface BrokenPeer {
  /** Without a path. */
  readonly url: string;
  /** Connections that are open. */
  sockets(): Promise<number>;
  close(): Promise<void>;
}

/** Reads until the request is likely there, as these peers do not speak the protocol. */
const answering =
  (answer: (socket: Socket, request: string) => void) =>
  (socket: Socket): void => {
    let request = '';
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      const first = request === '';
      request += piece.toString('latin1');
      if (first) setTimeout(() => answer(socket, request), 5);
    });
  };

const serverOf = (peer: Peer): Server => {
  const answer = ANSWERS[peer];
  if (answer !== undefined) return createServer(answering(answer));
  const tls = createHttpsServer(
    { key: KEY.replaceAll('  ', ''), cert: CERTIFICATE.replaceAll('  ', '') },
    (_, response) => void response.end(),
  );
  tls.on('tlsClientError', () => {});
  return tls;
};

export const openBrokenPeer = async (peer: Peer): Promise<BrokenPeer> => {
  const server = serverOf(peer);
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
    });
  if (peer === 'refused') await close();
  return {
    url: `${peer === 'self_signed' || peer === 'plain' ? 'https' : 'http'}://127.0.0.1:${port}`,
    sockets: async () => open.size,
    close: peer === 'refused' ? async () => {} : close,
  };
};
