// A small OTLP/HTTP collector: takes JSON, keeps the spans, can be told to answer otherwise, and can go away and come back on its port.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface KeyValue {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: number | string;
    readonly doubleValue?: number;
    readonly boolValue?: boolean;
    readonly arrayValue?: { readonly values: readonly { readonly stringValue?: string }[] };
  };
}
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly events: readonly { readonly name: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}
interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly OtlpSpan[] }[];
  }[];
}

export interface CollectedSpan extends Omit<OtlpSpan, 'attributes' | 'status'> {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
  /** 0 unset, 1 ok, 2 error. */
  readonly status: { readonly code: number; readonly message?: string };
}

export interface Collector {
  readonly url: string;
  /** All that was acknowledged, in order; a span that came twice is there twice. */
  readonly spans: CollectedSpan[];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** What it answers instead of taking the spans; undefined: it takes them. */
  answer: { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } | undefined;
  /** Ends every connection and listens no more. */
  stop(): Promise<void>;
  /** Listens again, where it did. */
  start(): Promise<void>;
}

const plain = (pairs: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(
    pairs.map(({ key, value }) => [
      key,
      value.arrayValue?.values.map(({ stringValue }) => stringValue) ??
        value.stringValue ??
        value.doubleValue ??
        value.boolValue ??
        (value.intValue === undefined ? undefined : Number(value.intValue)),
    ]),
  );

const spansIn = ({ resourceSpans }: OtlpRequest): CollectedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: plain(span.attributes),
        resource: plain(resource.attributes),
        status: { code: 0, ...span.status },
      })),
    ),
  );

/** @param port 0: any free one. */
export const openCollector = async (port = 0): Promise<Collector> => {
  let at = port;
  let server: Server | undefined;
  const make = (): Server =>
    createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        collector.requests.push({ path: request.url ?? '', headers: request.headers });
        const { status = 200, headers = {}, body = '{}' } = collector.answer ?? {};
        if (status === 200 && request.url === '/v1/traces')
          collector.spans.push(...spansIn(JSON.parse(Buffer.concat(pieces).toString('utf8')) as OtlpRequest));
        response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
      });
    });
  const collector: Collector = {
    get url() {
      return `http://127.0.0.1:${at}`;
    },
    spans: [],
    requests: [],
    answer: undefined,
    start: () =>
      new Promise((resolve, reject) => {
        server = make();
        server.once('error', reject);
        server.listen(at, '127.0.0.1', () => {
          at = (server!.address() as AddressInfo).port;
          resolve();
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        if (server === undefined) return resolve();
        server.close(() => resolve());
        server.closeAllConnections();
        server = undefined;
      }),
  };
  await collector.start();
  return collector;
};
