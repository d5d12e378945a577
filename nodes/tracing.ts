// Traces of a node: what takes part in them, where `telemetry.otlp_url` names a collector. Nothing of it is loaded where it names none.
import type { TracedRequest } from '../gateway/index.js';
import { exportTraces, openDelivery } from '../processors/traces/index.js';
import { Fault, type Servers } from '../schemas/index.js';
import type { Assignment, Recorded } from '../streams/index.js';
import { openRequestSpans } from './request-spans.js';
import { VERSION } from './version.js';

export interface TracingOptions {
  readonly config: Servers;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onProblem: (error: unknown, record?: Recorded) => void;
}

export interface Tracing {
  /** The handler of a partition of the group that exports traces. */
  readonly export: (assignment: Assignment) => Promise<void>;
  /** For the gateway. */
  readonly onRequest: (request: TracedRequest) => void;
  close(): Promise<void>;
}

/** What a log line needs to be found by: the correlation id of a record, and its trace where it has one. */
export const idsOf = (record: Pick<Recorded, 'headers'> | undefined): { readonly correlation_id?: string; readonly trace_id?: string } => {
  if (record === undefined) return {};
  const { correlationid, traceparent } = record.headers;
  return {
    ...(correlationid === undefined ? {} : { correlation_id: correlationid }),
    ...(traceparent === undefined ? {} : { trace_id: traceparent.slice(3, 35) }),
  };
};

const HEADERS = 'OTEL_EXPORTER_OTLP_HEADERS';

/** `name=value,name=value`, values percent-encoded, as OpenTelemetry has it: where keys go, so that none stands in servers.yaml. @throws Fault `bad_configuration`. */
export const headersIn = (text: string): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const pair of text.split(',')) {
    if (pair.trim() === '') continue;
    const at = pair.indexOf('=');
    try {
      const header = new Headers([[pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]]);
      for (const [name, value] of header) headers[name] = value;
    } catch {
      throw new Fault(
        'fatal',
        'bad_configuration',
        `${HEADERS} is not a list of name=value with percent-encoded values, separated by commas`,
      );
    }
  }
  return headers;
};

/** @returns undefined where no collector is configured. @throws Fault `bad_configuration` when the headers cannot be read. */
export const openTracing = async ({ config, env, onProblem }: TracingOptions): Promise<Tracing | undefined> => {
  const url = config.telemetry.otlp_url;
  if (url === undefined) return undefined;
  const tell = (fault: Fault): void => onProblem(fault);
  const { openOtlp } = await import('./otlp.js');
  const send = openOtlp({
    url,
    headers: headersIn(env[HEADERS] ?? ''),
    resource: { 'service.name': 'dats', 'service.version': VERSION, 'service.instance.id': `${config.node.id}:${process.pid}` },
    version: VERSION,
    onProblem: tell,
  });
  const delivery = openDelivery({ send, onProblem: tell });
  const requests = openRequestSpans(delivery, tell);
  const system = config.log.kind === 'kafka' ? 'kafka' : 'dats';
  return {
    export: (assignment) => exportTraces(assignment, { delivery, system, onProblem }),
    onRequest: requests.take,
    close: () => requests.close(),
  };
};
