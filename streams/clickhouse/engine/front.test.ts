import { expect, test } from 'vitest';
import { bound } from './front.js';

const given = (values: Readonly<Record<string, string>>): URLSearchParams =>
  new URLSearchParams(Object.fromEntries(Object.entries(values).map(([name, value]) => [`param_${name}`, value])));

test('a value stands in its place, as text that is cast to its type', () => {
  expect(bound("SELECT {a:String}, {n:UInt8}, {missing:String}, {t:DateTime64(3, 'UTC')}", given({ a: "it's", n: '1', t: '2026' }))).toBe(
    String.raw`SELECT _CAST('it\'s', 'String'), _CAST('1', 'UInt8'), {missing:String}, _CAST('2026', 'DateTime64(3, \'UTC\')')`,
  );
});

test.each([
  "SELECT '{a:String}'",
  String.raw`SELECT 'x\'{a:String}'`,
  "SELECT 'it''s {a:String}'",
  'SELECT 1 AS `{a:String}`',
  'SELECT 1 AS "{a:String}"',
  'SELECT 1 -- {a:String}',
  'SELECT /* {a:String} */ 1',
])('a value is never put into text, where it would end it and be read as SQL: %s', (sql) => {
  expect(bound(sql, given({ a: ', file(char(47)) AS b -- ' }))).toBe(sql);
});
