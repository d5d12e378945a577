import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { type DataOf, dataschemaOf, decode, decodeWritten, EVENTS, type EventType, encode, eventSchemas, Fault } from './index.js';

interface Fixture {
  readonly headers: Record<string, string>;
  readonly data: Record<string, unknown>;
}
const folder = new URL('./fixtures/', import.meta.url);
const fixtures = new Map(readdirSync(folder).map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Fixture]));
const created = fixtures.get('dats.task.created.v1.json')!;
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Fault ? `${error.kind} ${error.code}` : String(error);
  }
};

describe('registry', () => {
  it('has a golden fixture for every event version, and no fixture without its version', () => {
    const listed = Object.entries(EVENTS).flatMap(([type, versions]) => Object.keys(versions).map((v) => `${type}.v${v}.json`));
    expect([...fixtures.keys()].sort()).toEqual(listed.sort());
  });

  it.each([...fixtures])('decodes %s for ever, and encodes what it decoded to the same', (_name, { headers, data }) => {
    const event = decode(headers, JSON.stringify(data));
    expect({ ...event }).toEqual({ ...headers, data });
    const again = encode(event);
    expect(again.headers).toEqual(headers);
    expect(decode(again.headers, again.value)).toEqual(event);
  });

  it('writes the newest version, which can be read for each older one (G4)', () => {
    const called = fixtures.get('dats.model.called.v1.json')!;
    const event = decode(called.headers, JSON.stringify(called.data));
    if (event.type !== 'dats.model.called') throw new Error(`a ${event.type}`);
    expectTypeOf(event.data.price_version).toEqualTypeOf<string | undefined>();
    expect([event.dataschema, event.data.price_version, event.data.cost_usd]).toEqual(['urn:dats:model.called:1', undefined, 0.001]);
    expect(dataschemaOf('dats.model.called')).toBe('urn:dats:model.called:3');

    for (const [name, { headers, data }] of fixtures) {
      const versions: Readonly<Record<string, z.ZodType>> = EVENTS[headers['type'] as EventType];
      const numbers = Object.keys(versions).map(Number);
      expect(numbers, 'versions count up from 1').toEqual(numbers.map((_, i) => i + 1));
      expect(versions[numbers.at(-1)!]!.parse(data), name).toEqual(data);
      expect(dataschemaOf(headers['type'] as EventType)).toBe(`urn:dats:${headers['type']!.slice('dats.'.length)}:${numbers.at(-1)}`);
    }
    type Written = { [T in EventType]: z.infer<(typeof EVENTS)[T][keyof (typeof EVENTS)[T]]> };
    expectTypeOf<Written>().toExtend<{ [T in EventType]: DataOf<T> }>();
  });

  it('refuses what is no event, with a reason that is final', () => {
    const json = JSON.stringify(created.data);
    const { type: _type, ...untyped } = created.headers;
    expect(codeOf(() => decode(untyped, json))).toBe('terminal not_an_event');
    expect(codeOf(() => decode({ ...created.headers, type: 'dats.task.exploded', dataschema: 'urn:dats:task.exploded:1' }, json))).toBe(
      'terminal unknown_type',
    );
    expect(codeOf(() => decode({ ...created.headers, dataschema: 'urn:dats:task.created:99' }, json))).toBe('terminal unknown_version');
    expect(codeOf(() => decode({ ...created.headers, dataschema: 'urn:dats:task.failed:1' }, json))).toBe('terminal unknown_version');
    expect(codeOf(() => decode(created.headers, '{"task_id":'))).toBe('terminal not_json');
    expect(codeOf(() => decode(created.headers, '{"task_id":1}'))).toBe('terminal bad_event');
    expect(codeOf(() => decode({ ...created.headers, traceparent: 'x' }, json))).toBe('terminal bad_event');
  });

  it('decodes bytes as well as text', () => {
    expect(decode(created.headers, Buffer.from(JSON.stringify(created.data)))).toEqual({ ...created.headers, data: created.data });
  });

  it.each([...fixtures])('takes %s out of the log without checking its data, as the same event', (_name, { headers, data }) => {
    expect(decodeWritten({ ...headers, 'dlq.retried_from': 'x' }, JSON.stringify(data))).toEqual(decode(headers, JSON.stringify(data)));
  });

  it('refuses a written record that is no event, as ever', () => {
    expect(decodeWritten(created.headers, '{"task_id":1}').data).toEqual({ task_id: 1 });
    expect(codeOf(() => decodeWritten(created.headers, '{"task_id":'))).toBe('terminal not_json');
    for (const data of ['null', '1', '"text"']) expect(codeOf(() => decodeWritten(created.headers, data))).toBe('terminal bad_event');
    expect(codeOf(() => decodeWritten({ ...created.headers, id: '' }, JSON.stringify(created.data)))).toBe('terminal bad_event');
    expect(codeOf(() => decodeWritten({ ...created.headers, dataschema: 'urn:dats:task.created:99' }, '{}'))).toBe(
      'terminal unknown_version',
    );
    expect(codeOf(() => decodeWritten({ ...created.headers, type: 'x.task.created' }, '{}'))).toBe('terminal unknown_type');
  });

  it('leaves out headers that are no attributes, and optional attributes that are not there', () => {
    const { causationid: _1, traceparent: _2, afteroffset: _3, ...required } = created.headers;
    const event = decode({ ...required, 'dlq.retried_from': 'x' }, JSON.stringify(created.data));
    expect(Object.keys(event).sort()).toEqual([...Object.keys(required), 'data'].sort());
  });

  it('gives a JSON Schema for every event version', () => {
    const schemas = eventSchemas();
    expect(schemas.size).toBe(fixtures.size);
    for (const schema of schemas.values())
      expect(schema).toMatchObject({ type: 'object', $schema: 'https://json-schema.org/draft/2020-12/schema' });
  });
});
