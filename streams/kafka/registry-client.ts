// What is asked of a Confluent-compatible schema registry (Confluent, Apicurio's ccompat API, Karapace, Redpanda).
//
// C1. Every question has a limit of time and ends in an answer or a Fault; nothing is retried here, nothing is printed. C2. Registering goes through the
// client that consumers decode with: it compiles the schema first, so none is published that they could not use. That client has no call for
// compatibility, and reports a server that is away as status 400: the other questions are plain HTTP, and a failure to register is looked into by asking
// whether the schema is there. C3. Addresses in messages never show credentials. C4. Nothing is loaded or opened before the first question.
import { Fault, isFault, timeoutSignal } from '../../schemas/index.js';

export interface RegistryAddress {
  /** Of the Confluent-compatible API: `http://127.0.0.1:8081`, or with a path such as `/apis/ccompat/v7`. May hold user and password. */
  readonly url: string;
  readonly auth?: { readonly username: string; readonly password: string };
}

/** A version of a subject. `version` is the registry's count, which need not be the event's. */
export interface Registered {
  readonly id: number;
  readonly version: number;
  readonly text: string;
}

export interface RegistryClient {
  /** The address, for people. */
  readonly address: string;
  /** The schema under this subject, if it is there. */
  find(subject: string, text: string): Promise<Registered | undefined>;
  /** All versions of a subject; none when there is no such subject. */
  versions(subject: string): Promise<readonly Registered[]>;
  /** What the registry demands of new versions; undefined where the subject has no rule of its own. */
  compatibility(subject: string): Promise<string | undefined>;
  setCompatibility(subject: string, level: string): Promise<void>;
  /** Would the registry take this schema beside that version? `why` is what it says against it; may be empty. */
  accepts(subject: string, version: number, text: string): Promise<{ readonly accepted: boolean; readonly why: string }>;
  /**
   * Gives the schema's id; the same schema gives the same id.
   * @throws Fault fatal `schema_incompatible` when the registry refuses it beside those that are there.
   */
  register(subject: string, text: string, level: string): Promise<number>;
}

/** How long one answer may take, in milliseconds. */
const ANSWER_MS = 5_000;
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json';
/** Words of the registry that are shown at most, in characters. */
const SAID_CHARS = 500;

interface Place {
  readonly base: string;
  readonly address: string;
  readonly auth: RegistryAddress['auth'] | undefined;
}

const placeOf = ({ url, auth }: RegistryAddress): Place => {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Fault(
      'fatal',
      'bad_registry_url',
      'the address of the schema registry is not an http URL; give one such as http://127.0.0.1:8081 (log.kafka.registry_url of servers.yaml)',
    );
  const parsed = new URL(url);
  const inUrl =
    parsed.username === '' ? undefined : { username: decodeURIComponent(parsed.username), password: decodeURIComponent(parsed.password) };
  parsed.username = '';
  parsed.password = '';
  const base = parsed.href.replace(/\/+$/, '');
  return { base, address: base, auth: auth ?? inUrl };
};

const unavailable = (address: string, what: string, cause?: unknown): Fault =>
  new Fault(
    'retryable',
    'registry_unavailable',
    `the schema registry at ${address} ${what}; check that it runs, and log.kafka.registry_url of servers.yaml`,
    { cause },
  );

const refused = (address: string, what: string, cause?: unknown): Fault =>
  new Fault('fatal', 'registry_refused', `the schema registry at ${address} ${what}`, { cause });

const noRegistry = (address: string): Fault =>
  refused(
    address,
    'does not answer like one; give the address of its Confluent-compatible API, with its path where it has one (Apicurio: /apis/ccompat/v7)',
  );

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
}

const numberIn = (body: unknown, name: string): number | undefined => {
  const value = (body as Record<string, unknown> | null)?.[name];
  return typeof value === 'number' ? value : undefined;
};

const saidIn = ({ body, text }: Answer): string => {
  const message = (body as Record<string, unknown> | null)?.['message'];
  return (typeof message === 'string' ? message : text).slice(0, SAID_CHARS).trim();
};

/** A registry that does not know something says so by an error code (40401, 40403, 40408); a wrong path is just 404. */
const isUnknown = ({ status, body }: Answer): boolean => status === 404 && Math.floor((numberIn(body, 'error_code') ?? 0) / 100) === 404;

const ANSWERS_LATER: ReadonlySet<number> = new Set([408, 425, 429]);

const checked = (address: string, answer: Answer): Answer => {
  const { status, body } = answer;
  if (status >= 200 && status < 300) {
    if (typeof body !== 'object' || body === null) throw noRegistry(address);
    return answer;
  }
  if (isUnknown(answer)) return answer;
  if (status >= 500 || ANSWERS_LATER.has(status)) throw unavailable(address, `answers ${status} (${saidIn(answer)})`);
  if (status === 401 || status === 403) throw refused(address, `refuses the credentials (${status}); check user and password`);
  if (status === 404) throw noRegistry(address);
  throw refused(address, `refuses with ${status}: ${saidIn(answer)}`);
};

const headersOf = (auth: Place['auth']): Record<string, string> => ({
  accept: `${CONTENT_TYPE}, application/json`,
  'content-type': CONTENT_TYPE,
  ...(auth === undefined ? {} : { authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}` }),
});

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const registeredIn = (body: unknown, address: string): Registered => {
  const { id, version, schema } = body as Record<string, unknown>;
  if (typeof id !== 'number' || typeof version !== 'number' || typeof schema !== 'string') throw noRegistry(address);
  return { id, version, text: schema };
};

/** Registers through the package. It may never answer when the connection breaks half way: hence the limit from outside. */
const registerWith = async ({ base, auth }: Place, signal: AbortSignal, subject: string, text: string, level: string): Promise<number> => {
  const { COMPATIBILITY, SchemaRegistry, SchemaType } = await import('@kafkajs/confluent-schema-registry');
  const given = auth === undefined ? {} : { auth: { username: auth.username, password: auth.password } };
  const client = new SchemaRegistry(
    { host: base, clientId: 'dats', retry: { retries: 0 }, ...given },
    { [SchemaType.JSON]: { logger: false } },
  );
  const compatibility = COMPATIBILITY[level as keyof typeof COMPATIBILITY];
  const registering = client.register({ type: SchemaType.JSON, schema: text }, { subject, compatibility });
  return new Promise((resolve, reject) => {
    const late = () => reject(signal.reason);
    signal.addEventListener('abort', late, { once: true });
    registering.then(({ id }) => resolve(id), reject).finally(() => signal.removeEventListener('abort', late));
    if (signal.aborted) late();
  });
};

/** `signal` ends every question: they fail with `registry_unavailable`. */
export const registryClient = (where: RegistryAddress, signal: AbortSignal): RegistryClient => {
  const place = placeOf(where);
  const { base, address } = place;
  const limited = () => AbortSignal.any([signal, timeoutSignal(ANSWER_MS)]);

  const ask = async (method: string, path: string, body?: object): Promise<Answer> => {
    try {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const response = await fetch(base + path, { method, headers: headersOf(place.auth), signal: limited(), ...sent });
      const text = await response.text();
      return checked(address, { status: response.status, body: parsed(text), text });
    } catch (error) {
      if (isFault(error)) throw error;
      throw unavailable(address, 'does not answer', error);
    }
  };

  const pathOf = (subject: string) => `/subjects/${encodeURIComponent(subject)}`;
  const schemaOf = (text: string) => ({ schemaType: 'JSON', schema: text });

  const find = async (subject: string, text: string): Promise<Registered | undefined> => {
    const answer = await ask('POST', pathOf(subject), schemaOf(text));
    return isUnknown(answer) ? undefined : registeredIn(answer.body, address);
  };

  return {
    address,
    find,
    versions: async (subject) => {
      const answer = await ask('GET', `${pathOf(subject)}/versions`);
      if (isUnknown(answer)) return [];
      if (!Array.isArray(answer.body)) throw noRegistry(address);
      const answers = await Promise.all((answer.body as number[]).map((version) => ask('GET', `${pathOf(subject)}/versions/${version}`)));
      return answers.filter((one) => !isUnknown(one)).map(({ body }) => registeredIn(body, address));
    },
    compatibility: async (subject) => {
      const { body } = await ask('GET', `/config/${encodeURIComponent(subject)}`);
      const level = (body as Record<string, unknown>)['compatibilityLevel'];
      return typeof level === 'string' ? level.toUpperCase() : undefined;
    },
    setCompatibility: async (subject, level) => {
      await ask('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility: level });
    },
    accepts: async (subject, version, text) => {
      const { body } = await ask(
        'POST',
        `/compatibility/subjects/${encodeURIComponent(subject)}/versions/${version}?verbose=true`,
        schemaOf(text),
      );
      const { is_compatible, messages } = body as { is_compatible?: unknown; messages?: unknown };
      return { accepted: is_compatible === true, why: (Array.isArray(messages) ? messages.join('; ') : '').slice(0, SAID_CHARS) };
    },
    register: async (subject, text, level) => {
      try {
        return await registerWith(place, limited(), subject, text, level);
      } catch (error) {
        const there = await find(subject, text);
        if (there !== undefined) return there.id;
        throw registrationFault(address, subject, error);
      }
    },
  };
};

/** The registry answers, the schema is not there, and registering it failed with `error`. */
const registrationFault = (address: string, subject: string, error: unknown): Fault => {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  const said = (error instanceof Error ? error.message : String(error)).replace(/^dats - /, '').slice(0, SAID_CHARS);
  if (status === 409)
    return new Fault(
      'fatal',
      'schema_incompatible',
      `the schema registry at ${address} refuses a new version of ${subject}: ${said}. ` +
        'Records of all older versions must fit a new one: add optional properties only, or make a new event type; then start again',
      { cause: error },
    );
  if (status === 401 || status === 403) return refused(address, `does not let this user register ${subject} (${status})`, error);
  if (status === 422) return refused(address, `takes the schema of ${subject} for invalid: ${said}`, error);
  return unavailable(address, `did not register ${subject} (${said})`, error);
};
