import { expect, test } from 'vitest';
import { SEQS_PER_RUN } from '../processors/index.js';
import type { LiveChunk } from '../streams/index.js';
import { livePublisher, PIECE_CHARS } from './live-publisher.js';

const speaking = (attempt = 1, firstSeq = SEQS_PER_RUN) => {
  const said: (LiveChunk & { readonly taskId: string })[] = [];
  const publish = (taskId: string, chunk: LiveChunk) => void said.push({ taskId, ...chunk });
  return { said, speech: livePublisher({ publish })('t', attempt, firstSeq) };
};

test('pieces are numbered one by one, the end included, and nothing follows the end', () => {
  const { said, speech } = speaking(2);
  speech.say('a');
  speech.say('');
  speech.say('b');
  speech.end();
  speech.end();
  speech.say('late');
  speech.restart();
  expect(said).toEqual([
    { taskId: 't', attempt: 2, seq: SEQS_PER_RUN, text: 'a' },
    { taskId: 't', attempt: 2, seq: SEQS_PER_RUN + 1, text: 'b' },
    { taskId: 't', attempt: 2, seq: SEQS_PER_RUN + 2, text: '', end: true },
  ]);
});

test('a restart ends what was said, and the numbers go on', () => {
  const { said, speech } = speaking();
  speech.say('half an ans');
  speech.restart();
  speech.say('whole');
  speech.end();
  expect(said.map(({ seq, text, end }) => [seq - SEQS_PER_RUN, text, end === true])).toEqual([
    [0, 'half an ans', false],
    [1, '', true],
    [2, 'whole', false],
    [3, '', true],
  ]);
});

test('long text goes in small pieces, none of which cuts a character in two', () => {
  const { said, speech } = speaking();
  const text = `${'x'.repeat(PIECE_CHARS - 1)}\u{1F600}${'y'.repeat(2 * PIECE_CHARS)}`;
  speech.say(text);
  expect(said.map((chunk) => chunk.text).join('')).toBe(text);
  for (const chunk of said) expect(chunk.text.length).toBeLessThanOrEqual(PIECE_CHARS);
  expect(said[1]?.text.codePointAt(0)).toBe(0x1f600);
});

test('a speech that has used up its numbers is heard no more, but its end is, below the first number of the next run', () => {
  const { said, speech } = speaking();
  for (let i = 0; i < SEQS_PER_RUN + 5; i++) speech.say('x');
  speech.restart();
  speech.end();
  expect(said).toHaveLength(SEQS_PER_RUN);
  expect(said.at(-1)).toMatchObject({ seq: 2 * SEQS_PER_RUN - 1, end: true });
});
