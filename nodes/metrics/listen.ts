// /metrics on a port of its own, for processes without the gateway role. Nothing else is answered there.
import { type ServedGateway, serveGateway } from '../../gateway/index.js';
import type { MetricsText } from './metrics.js';

const PATH = '/metrics';
const plain = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(body, { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers } });

const answer = async (request: Request, scrape: () => Promise<MetricsText>): Promise<Response> => {
  if (new URL(request.url).pathname !== PATH) return plain(404, `there is only ${PATH} here\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, `${PATH} is read with GET\n`, { allow: 'GET, HEAD' });
  const { contentType, body } = await scrape();
  return plain(200, body, { 'content-type': contentType });
};

/** @param at `port` 0: any free one. @throws Fault fatal `port_taken`, `port_denied`, `host_unknown` */
export const serveMetrics = (
  scrape: () => Promise<MetricsText>,
  at: { readonly host: string; readonly port: number },
): Promise<ServedGateway> =>
  serveGateway(
    { fetch: (request) => answer(request, scrape), close: () => undefined },
    { ...at, settings: 'telemetry.metrics_port and gateway.host of servers.yaml; DATS_TELEMETRY_METRICS_PORT gives one process another' },
  );
