// The OpenAPI 3.1 document, made from the route table and the schemas that validate: it cannot say something else than the server does.

import { z } from 'zod';
import {
  acceptedSchema,
  artifactViewSchema,
  problemSchema,
  projectViewSchema,
  submitTaskSchema,
  taskViewSchema,
} from '../schemas/index.js';
import { openAiErrorSchema } from './openai/index.js';
import { PROBLEMS, type ProblemCode, STATUS, slugOf } from './problem.js';
import type { DocumentedAnswer, Route, Success } from './table.js';

export type Json = { readonly [key: string]: unknown };

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
    readonly schema: Json;
  }[];
  readonly requestBody?: { readonly required: boolean; readonly content: { readonly [type: string]: Json } };
  readonly responses: {
    readonly [status: string]: {
      readonly description: string;
      readonly content?: { readonly [type: string]: Json };
      readonly headers?: Json;
    };
  };
}

export interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } };
  readonly components: { readonly schemas: { readonly [name: string]: Json } };
}

/** Schemas with names of their own; others stand where they are used. */
const NAMED: readonly (readonly [string, z.ZodType, 'input' | 'output'])[] = [
  ['SubmitTask', submitTaskSchema, 'input'],
  ['Accepted', acceptedSchema, 'output'],
  ['Task', taskViewSchema, 'output'],
  ['Artifact', artifactViewSchema, 'output'],
  ['ProjectStatus', projectViewSchema, 'output'],
  ['Problem', problemSchema, 'output'],
  ['OpenAiError', openAiErrorSchema, 'output'],
];

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12', unrepresentable: 'any' }) as Json;
  return rest;
};

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const named = NAMED.find(([, known, knownIo]) => known === schema && knownIo === io);
  return named === undefined ? jsonSchema(schema, io) : { $ref: `#/components/schemas/${named[0]}` };
};

const parametersOf = (schema: z.ZodType | undefined, place: 'path' | 'query'): Operation['parameters'] => {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as Json & { description?: string };
    return {
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
};

const headerParameters = (headers: Route['headers']): Operation['parameters'] =>
  Object.entries({
    'X-Correlation-Id': 'Joins this request to others; made up when it is not given, or not harmless text of up to 128 characters.',
    ...headers,
  }).map(([name, description]) => ({ name, in: 'header', required: false, description, schema: { type: 'string' } }));

const headersOf = (headers: Readonly<Record<string, string>>): Json =>
  Object.fromEntries(
    Object.entries({ ...headers, 'X-Correlation-Id': 'The id of this request.' }).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  );

const successOf = (success: Success) => {
  const type = success.contentType ?? (success.schema === undefined ? undefined : 'application/json');
  const schema = success.schema === undefined ? { type: 'string' } : schemaOf(success.schema, 'output');
  return {
    description: success.description,
    headers: headersOf(success.headers ?? {}),
    ...(type === undefined
      ? {}
      : { content: { [type]: { schema, ...(success.example === undefined ? {} : { example: success.example }) } } }),
  };
};

const problemResponse = (codes: readonly ProblemCode[]) => {
  const kinds = codes.map((code) => ({ code, kind: PROBLEMS[code] }));
  const retry = kinds.some(({ kind }) => 'retryAfterS' in kind);
  const examples = kinds.map(({ code, kind }) => [
    slugOf(code),
    {
      value: {
        type: `/problems/${slugOf(code)}`,
        title: kind.title,
        status: kind.status,
        detail: kind.explain,
        correlation_id: '01936b2e-7c19-7000-8000-000000000001',
        retryable: 'retryAfterS' in kind,
      },
    },
  ]);
  return {
    description: kinds.map(({ kind }) => kind.title).join(', or '),
    headers: headersOf(retry ? { 'Retry-After': 'Seconds to wait.' } : {}),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' }, examples: Object.fromEntries(examples) } },
  };
};

const refusalResponse = ({ description, schema, headers, examples }: DocumentedAnswer) => ({
  description,
  headers: headersOf(headers ?? {}),
  content: { 'application/json': { schema: schemaOf(schema, 'output'), examples } },
});

const responsesOf = (route: Route): Operation['responses'] => {
  const successes = route.success.map((success) => [String(success.status), successOf(success)] as const);
  if (route.surface !== undefined)
    return Object.fromEntries([
      ...successes,
      ...Object.entries(route.surface.refusals).map(([status, refusal]) => [status, refusalResponse(refusal)] as const),
    ]);
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of [...route.problems, 'internal' as const])
    byStatus.set(PROBLEMS[code].status, [...(byStatus.get(PROBLEMS[code].status) ?? []), code]);
  return Object.fromEntries([...successes, ...[...byStatus].map(([status, codes]) => [String(status), problemResponse(codes)] as const)]);
};

const bodyOf = (body: NonNullable<Route['body']>): NonNullable<Operation['requestBody']> => {
  const schema = schemaOf(body.schema, 'input');
  const lines = { schema: { type: 'string', description: 'One JSON document a line.' } };
  return {
    required: body.optional !== true,
    content: { 'application/json': { schema, example: body.example }, ...(body.ndjson === true ? { 'application/x-ndjson': lines } : {}) },
  };
};

const operationOf = (route: Route): Operation => ({
  operationId: route.operationId,
  tags: [route.tag],
  summary: route.summary,
  ...(route.description === undefined ? {} : { description: route.description }),
  parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query'), ...headerParameters(route.headers)],
  ...(route.body === undefined ? {} : { requestBody: bodyOf(route.body) }),
  responses: responsesOf(route),
});

export const openApiOf = (routes: readonly Route[], version: string): OpenApi => {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'DATS',
      version,
      description: `Distributed agentic task system. Times are RFC 3339 UTC; errors are RFC 9457 problem details, except under /v1, where they are OpenAI's; a submission answered ${STATUS.accepted} is on disk.`,
    },
    paths,
    components: { schemas: Object.fromEntries(NAMED.map(([name, schema, io]) => [name, jsonSchema(schema, io)])) },
  };
};
