import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inlineContent } from '../processors/index.js';
import { decode, encode, type SubmitTask, submitTaskSchema } from '../schemas/index.js';
import { createdEvent, fingerprintOfBody, fingerprintOfCreated, idempotencyKeyOf, misfitsOf } from './commands.js';

const bodies: fc.Arbitrary<SubmitTask> = fc
  .record(
    {
      description: fc.string({ minLength: 1 }),
      priority: fc.constantFrom('low', 'normal', 'high', 'urgent'),
      options: fc.record(
        { decompose: fc.boolean(), max_attempts: fc.integer({ min: 1, max: 20 }), timeout_s: fc.integer({ min: 1, max: 60 }) },
        { requiredKeys: [] },
      ),
      files: fc.uniqueArray(fc.record({ path: fc.stringMatching(/^[a-z]{1,8}\.py$/), content: fc.string() }), {
        selector: (file) => file.path,
        maxLength: 4,
      }),
      tests: fc.record({ language: fc.constant('python'), code: fc.string() }),
      depends_on: fc.array(fc.uuid(), { maxLength: 3 }),
      submitted_by: fc.constantFrom('alice', 'bob'),
    },
    { requiredKeys: ['description'] },
  )
  .map((body) => submitTaskSchema.parse(body));

const eventOf = (body: SubmitTask) =>
  createdEvent({
    body,
    taskId: 'task',
    eventId: '01936b2e-7c1a-7d30-9d1c-5f0f3a6f2b11',
    description: inlineContent(body.description)!,
    files: body.files.map((file) => ({ path: file.path, ...inlineContent(file.content)! })),
    testsCode: body.tests === undefined ? undefined : inlineContent(body.tests.code)!,
    inputs: [],
    dependsOn: body.depends_on,
    requester: { correlationId: '01936b2e-7c19-7000-8000-000000000001', traceparent: null },
    now: 0,
    configVersion: 'c',
  });

test('every submission becomes an event that decodes, with the fingerprint of its body', () => {
  fc.assert(
    fc.property(bodies, (body) => {
      const event = eventOf(body);
      const { headers, value } = encode(event);
      const decoded = decode(headers, value);
      expect(decoded).toEqual(event);
      if (decoded.type !== 'dats.task.created') throw new Error(decoded.type);
      expect(fingerprintOfCreated(decoded.data)).toBe(fingerprintOfBody(body));
    }),
  );
});

test('another body has another fingerprint', () => {
  const body = submitTaskSchema.parse({ description: 'x' });
  for (const other of [
    { description: 'y' },
    { priority: 'high' },
    { options: { decompose: true } },
    { files: [{ path: 'a', content: '' }] },
    { depends_on: ['t'] },
  ])
    expect(fingerprintOfBody(submitTaskSchema.parse({ ...body, ...other }))).not.toBe(fingerprintOfBody(body));
});

test('the trace begins with the ids of the event', () => {
  expect(eventOf(submitTaskSchema.parse({ description: 'x' })).traceparent).toBe('00-01936b2e7c1a7d309d1c5f0f3a6f2b11-9d1c5f0f3a6f2b11-01');
});

test('a task cannot depend on itself', () => {
  expect(misfitsOf(submitTaskSchema.parse({ description: 'x', depends_on: ['me'] }), 'me', 0, new Set())).toMatchObject([
    { path: ['depends_on', 0] },
  ]);
});

test.each([
  ['abc', 'abc'],
  ['"abc"', 'abc'],
  ['"a\\"b"', 'a"b'],
  [' x ', 'x'],
  ['"', undefined],
  ['a"b', undefined],
  ['', undefined],
])('the Idempotency-Key %j means %j', (header, key) => {
  expect(idempotencyKeyOf(header)).toBe(key);
});
