import { expect, it } from 'vitest';
import { BUILT_IN_PROMPTS, builtInOf, changedPrompt, changeOf, promptNamed, promptVersionsOf } from './prompt-versions.js';

it('a name says what is built in, and the version of what was changed', () => {
  expect(changedPrompt('decompose', 12)).toBe('decompose@1.12');
  expect(['generate@1.3', 'generate@1', 'generate@10', 'list@1', 'p@1.x'].map((name) => [builtInOf(name), changeOf(name)])).toEqual([
    ['generate@1', 3],
    ['generate@1', undefined],
    ['generate@10', undefined],
    ['list@1', undefined],
    ['p@1.x', undefined],
  ]);
});

it('what holds is what is built in but for what was changed', () => {
  expect(promptVersionsOf({})).toEqual(BUILT_IN_PROMPTS);
  expect(promptVersionsOf({ analyse: { version: 4 } })).toEqual({ ...BUILT_IN_PROMPTS, analyse: 'analyse@1.4' });
});

it('a name of another build means what is built in here', () => {
  expect(promptNamed('generate', 'generate@7', 'mine', undefined)).toEqual({ version: 'generate@1', system: 'mine' });
});
