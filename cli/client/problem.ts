// What goes wrong between us and the server, as Faults. `cause` of an answered error is the Problem itself.
import { Fault, isFault, type Problem, problemSchema } from '../../schemas/index.js';

export const isProblem = (value: unknown): value is Problem => problemSchema.safeParse(value).success;

/** The stable code: the last part of the problem's type, or `http_<status>`. */
const codeOf = (problem: Problem): string => {
  const slug = /([a-z0-9][a-z0-9_-]*)\/?$/i.exec(problem.type)?.[1];
  return slug === undefined || problem.type === 'about:blank' ? `http_${problem.status}` : slug.replaceAll('-', '_');
};

/** One plain line, then one for each pointer. */
export const problemText = (problem: Problem): string => {
  const detail = problem.detail === '' || problem.detail === problem.title ? problem.title : `${problem.title}: ${problem.detail}`;
  return [detail, ...(problem.errors ?? []).map((error) => `  ${error.pointer || '/'}  ${error.detail}`)].join('\n');
};

const retryAfterOf = (response: Response): number | undefined => {
  const text = response.headers.get('retry-after');
  if (text === null) return undefined;
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
};

/** The answer of a server that is not ours (a proxy, another program on the port) still gives one plain line. */
const foreign = (response: Response, body: string): Problem => ({
  type: 'about:blank',
  title: `the server answered ${response.status}${response.statusText ? ` ${response.statusText}` : ''}`,
  status: response.status,
  detail: body.trim().slice(0, 200).replaceAll(/\s+/g, ' '),
  correlation_id: response.headers.get('x-correlation-id') ?? '',
  retryable: response.status >= 500 || response.status === 429,
});

/** A Fault from an answer with an error status; retryable as the server says. */
export const faultOfAnswer = async (response: Response): Promise<Fault> => {
  const body = await response.text().catch(() => '');
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  const problem = isProblem(parsed) ? parsed : foreign(response, body);
  const retryAfterMs = retryAfterOf(response);
  return new Fault(problem.retryable ? 'retryable' : 'terminal', codeOf(problem), problemText(problem), {
    cause: problem,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
};

/** What the system said: fetch hides it in the cause. */
const reasonOf = (error: unknown): string => {
  const cause = (error instanceof Error ? (error.cause ?? error) : error) as
    | { readonly code?: string; readonly message?: string }
    | undefined;
  return cause?.code ?? cause?.message ?? String(error);
};

/** Does nobody listen at the address? Then nothing was asked of anybody. */
export const isRefused = (error: unknown): boolean =>
  isFault(error) && error.code === 'server_unreachable' && reasonOf(error.cause) === 'ECONNREFUSED';

export const unreachable = (url: string, error: unknown): Fault =>
  new Fault(
    'retryable',
    'server_unreachable',
    `no DATS server answers at ${url} (${reasonOf(error)}); start one with "npm start", or give its address with --url or DATS_URL`,
    { cause: error },
  );

export const statusOfFault = (fault: Fault): number | undefined => (isProblem(fault.cause) ? fault.cause.status : undefined);
