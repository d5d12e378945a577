import { expect, it } from 'vitest';
import { contentsIn } from './contents.js';

const DIGESTS = ['a', 'b', 'c'].map((letter) => letter.repeat(64));
const [first, second, third] = DIGESTS.map((digest) => `{"dataref":"sha256:${digest}"}`) as [string, string, string];

it('the contents that records name are found once each, in text and in bytes, and nothing in what names none', () => {
  const values = [
    first,
    Buffer.from(`[${second},${first}]`),
    new Uint8Array(Buffer.from(third)),
    '{"text":"a dataref"}',
    '{"dataref":"http://x"}',
  ];
  expect(contentsIn(values.map((value) => ({ value })))).toEqual(DIGESTS);
  expect(contentsIn([{ value: Buffer.from('{}') }, { value: '' }])).toEqual([]);
});
