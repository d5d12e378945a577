import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { problemSchema } from '../schemas/index.js';
import { openAiErrorSchema } from './openai/index.js';
import type { Json, OpenApi, Operation } from './openapi.js';
import { ROUTES } from './routes/index.js';
import { scriptedAnalytics } from './testing/analytics.js';
import { openWorld, type World } from './testing/world.js';

const SAID = {
  model: 'scripted',
  provider: 'scripted',
  scripted: true,
  finish_reason: 'stop',
  input_tokens: 3,
  output_tokens: 1,
  duration_ms: 1,
} as const;

let world: World;
let document: OpenApi;
beforeAll(async () => {
  world = await openWorld({
    gateway: { cancelWaitMs: 5 },
    models: {
      ask: async ({ onText }) => {
        onText?.('four');
        return { ...SAID, text: 'four' };
      },
      embed: async ({ texts }) => ({ ...SAID, vectors: texts.map(() => [0.25, 0.5]) }),
    },
    history: {
      analytics: scriptedAnalytics().analytics,
      analyticsAdmin: { rebuild: async () => undefined, migrate: async () => ({ applied: [], generation: 'g' }) },
      stats: [{ name: 'models', question: 'How are the models?', sql: 'SELECT 1' }],
    },
  });
  document = (await (await world.app.request('/openapi.json')).json()) as OpenApi;
});
afterAll(() => world.close());

const operations = (): { path: string; method: string; operation: Operation }[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

test('every route is in the document, and everything in the document is a route that answers', async () => {
  const listed = operations().map(({ method, path }) => `${method} ${path}`);
  expect(listed.sort()).toEqual(ROUTES.map((route) => `${route.method} ${route.path}`).sort());
  expect(new Set(operations().map(({ operation }) => operation.operationId)).size).toBe(listed.length);
  for (const { method, path } of operations()) {
    const response = await world.app.request(path.replace(/\{\w+\}/g, 'x'), { method });
    expect([method, path, response.status === 405]).toEqual([method, path, false]);
    if (response.status === 404)
      expect(JSON.stringify(await response.json())).not.toMatch(path.includes('{slug}') ? /^$/ : /"\/problems\/not-found"|"unknown_url"/);
    else await response.body?.cancel();
  }
});

test('examples fit the schemas beside them', () => {
  for (const route of ROUTES) {
    if (route.body !== undefined && !Array.isArray(route.body.example)) route.body.schema.parse(route.body.example);
    for (const success of route.success) if (success.example !== undefined) success.schema?.parse(success.example);
  }
});

/** How errors are said there: content type and schema. */
const errorKindAt = (path: string) =>
  path.startsWith('/v1/')
    ? (['application/json', { schema: { $ref: '#/components/schemas/OpenAiError' } }] as const)
    : (['application/problem+json', { schema: { $ref: '#/components/schemas/Problem' } }] as const);

test('errors refer to one schema of each kind, and every reference leads somewhere', () => {
  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
    expect(Object.keys(document.components.schemas)).toContain(name);
  for (const { path, operation } of operations())
    for (const [status, response] of Object.entries(operation.responses))
      if (Number(status) >= 400) expect(Object.entries(response.content ?? {})).toMatchObject([errorKindAt(path)]);
});

test('the page names every operation and loads nothing from elsewhere', async () => {
  const page = await (await world.app.request('/docs')).text();
  for (const { operation } of operations()) expect(page).toContain(`id="${operation.operationId}"`);
  expect(page).not.toMatch(/<script|https?:\/\/(?!127)/);
});

const resolve = (schema: Json): Json => {
  const ref = schema.$ref;
  return typeof ref === 'string' ? document.components.schemas[ref.slice(ref.lastIndexOf('/') + 1)]! : schema;
};

/** Values that fit a JSON Schema, mostly; what it cannot say (refinements) is for the server to refuse. */
const arbitraryOf = (raw: Json, depth = 0): fc.Arbitrary<unknown> => {
  const schema = resolve(raw);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  if ('const' in schema) return fc.constant(schema.const);
  const either = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(either)) return fc.oneof(...either.map((one) => arbitraryOf(one as Json, depth + 1)));
  switch (schema.type) {
    case 'object':
      return objectOf(schema, depth);
    case 'array':
      return fc.array(arbitraryOf((schema.items ?? {}) as Json, depth + 1), {
        minLength: Number(schema.minItems ?? 0),
        maxLength: Math.max(Number(schema.minItems ?? 0), 3),
      });
    case 'string':
      return fc.oneof(
        fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' }),
        fc.constantFrom('p', 'a.py', '2030-01-01T00:00:00Z', 'true', '5'),
        fc.string({ unit: 'binary', maxLength: 8 }),
      );
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: 1, max: Math.max(1, Math.min(20, Number(schema.maximum ?? 20))) }), fc.double());
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    default:
      return depth > 3 ? fc.constant(null) : fc.anything({ maxDepth: 2 });
  }
};

const objectOf = (schema: Json, depth: number): fc.Arbitrary<unknown> => {
  const properties = (schema.properties ?? {}) as Record<string, Json>;
  const required = (schema.required ?? []) as string[];
  return fc.record(Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, arbitraryOf(one, depth + 1)])), {
    requiredKeys: required,
  });
};

const JUNK = fc.oneof(
  fc.json(),
  fc.string(),
  fc.constantFrom(
    '',
    '[]',
    '{}',
    'null',
    '{"__proto__":1}',
    '{"constructor":{}}',
    `${'['.repeat(5000)}`,
    '{"description":"\\ud800"}',
    '[{},{}]',
    '1e999',
  ),
);

interface Shot {
  readonly target: string;
  readonly init: RequestInit;
  readonly label: string;
}

const shotsAt = ({ path, method, operation }: ReturnType<typeof operations>[number]): fc.Arbitrary<Shot> => {
  const inPath = fc.oneof(fc.constantFrom('p', 'x'), fc.string({ minLength: 1, maxLength: 80, unit: 'binary' }));
  const query = fc.record(
    Object.fromEntries(
      operation.parameters
        .filter((one) => one.in === 'query')
        .map((one) => [one.name, fc.oneof(arbitraryOf(one.schema).map(String), fc.string({ unit: 'binary', maxLength: 10 }))]),
    ),
    { requiredKeys: [] },
  );
  const schema = operation.requestBody?.content['application/json']?.schema as Json | undefined;
  const body =
    schema === undefined
      ? fc.constant(undefined)
      : fc.oneof({ weight: 3, arbitrary: arbitraryOf(schema).map((value) => JSON.stringify(value)) }, { weight: 1, arbitrary: JUNK });
  const type = fc.oneof(
    { weight: 6, arbitrary: fc.constant('application/json') },
    { weight: 1, arbitrary: fc.constantFrom('application/x-ndjson', 'text/plain', 'application/json; charset=utf-8') },
  );
  const key = fc.option(fc.stringMatching(/^[ -~]{0,20}$/), { nil: undefined });
  const resume = fc.option(fc.constantFrom('p0-0', 'p1-5', 'p9-9', 'x', 'p0-999999999999'), { nil: undefined });
  return fc.tuple(inPath, query, body, type, key, resume).map(([segment, params, text, contentType, idempotencyKey, lastEventId]) => {
    const search = new URLSearchParams(params as Record<string, string>).toString();
    const headers: Record<string, string> = {};
    if (method === 'POST') headers['content-type'] = contentType;
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
    const encoded = encodeURIComponent(segment.replace(/\p{Surrogate}/gu, '?')).replace(/^\.{1,2}$/, '%2E%2E');
    const target = `${path.replace(/\{\w+\}/g, () => encoded)}${search === '' ? '' : `?${search}`}`;
    return {
      target,
      init: { method, headers, ...(text === undefined || method === 'GET' ? {} : { body: text }) },
      label: `${method} ${path}`,
    };
  });
};

const check = async (shot: Shot, operation: Operation): Promise<void> => {
  const response = await world.app.request(shot.target, shot.init);
  const type = response.headers.get('content-type') ?? '';
  const where = `${shot.label} ${shot.target} ${String(shot.init.body).slice(0, 500)}`;
  expect(response.headers.get('x-correlation-id'), where).toBeTruthy();
  expect(response.status, `${where}: ${response.status >= 500 ? await response.clone().text() : ''}`).toBeLessThan(500);
  if (response.status >= 400) {
    expect(type, where).toBe(errorKindAt(shot.target)[0]);
    const said = await response.json();
    if (shot.target.startsWith('/v1/')) openAiErrorSchema.strict().parse(said);
    else expect(problemSchema.parse(said).status).toBe(response.status);
    expect(Object.keys(operation.responses), where).toContain(String(response.status));
    return;
  }
  const documented = operation.responses[String(response.status)];
  expect(documented, `${where} answered ${response.status}`).toBeDefined();
  const schema = documented?.content?.['application/json']?.schema as Json | undefined;
  if (schema !== undefined && type.startsWith('application/json')) {
    const route = ROUTES.find((one) => `${one.method} ${one.path}` === shot.label)!;
    const answer = route.success.find((one) => one.status === response.status)!.schema!;
    const fits = (answer instanceof z.ZodObject ? answer.strict() : answer).safeParse(await response.json());
    expect(fits.error?.issues, where).toBeUndefined();
  } else await response.body?.cancel();
};

test('no endpoint answers 5xx to anything, errors are problems, answers fit what is documented', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
  const numRuns = Number(process.env.FUZZ_RUNS ?? 25);
  console.info(`fuzz: FUZZ_SEED=${seed} FUZZ_RUNS=${numRuns}`);
  await world.submit({ description: 'x', project_id: 'p' });
  for (const one of operations())
    await fc.assert(
      fc.asyncProperty(shotsAt(one), (shot) => check(shot, one.operation)),
      { seed, numRuns },
    );
}, 120_000);
