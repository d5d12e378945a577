import { describe, expect, it } from 'vitest';
import { askedIn } from './words.mjs';

const [base, models] = [
  ['kafka', 'redis', 'registry'],
  ['ollama', 'llama'],
];

describe('the words of a command', () => {
  it.each([
    [['up'], base],
    [['up', 'models'], models],
    [
      ['up', 'llama', 'redis'],
      ['redis', 'llama'],
    ],
    [
      ['up', 'all', '--fresh'],
      [...base, ...models],
    ],
    [['down'], [...base, ...models]],
    [['status'], [...base, ...models]],
    [['build'], models],
    [['build', 'all'], models],
    [['build', 'ollama'], ['ollama']],
  ])('%j mean %j, in the order of the list', (words, names) => {
    expect(askedIn(words).names).toEqual(names);
  });

  it('tell whether servers were named, and the flags of the command', () => {
    expect(askedIn(['up', '--fresh'])).toMatchObject({ named: false, fresh: true, json: false });
    expect(askedIn(['status', 'models', '--json'])).toMatchObject({ named: true, fresh: false, json: true });
  });

  it.each([
    [[], 'say what to do'],
    [['upp'], 'upp is not a command'],
    [['toString'], 'toString is not a command'],
    [['up', 'lama'], 'up does not know lama'],
    [['up', 'toString'], 'up does not know toString'],
    [['up', '--json'], 'up does not know --json'],
    [['build', 'kafka'], 'build is for ollama and llama'],
  ])('%j are refused: %s', (words, message) => {
    expect(() => askedIn(words)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });
});
