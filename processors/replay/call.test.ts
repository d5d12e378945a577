import { expect, it } from 'vitest';
import { isSameCall } from './call.js';
import type { AttemptRecord } from './record.js';

const record: AttemptRecord = {
  attempt: 1,
  tier: 'small',
  model: undefined,
  promptVersion: 'generate@1.2',
  readyMs: 0,
  inputs: '',
  previous: undefined,
};

it('a system message that was changed since makes no other call; a build that asks otherwise does', () => {
  const call = { tier: 'small' as const, inputs: '', previous: undefined };
  const same = ['generate@1', 'generate@1.2', 'generate@1.5', 'generate@2', 'generate@2.2'].map((prompt_version) =>
    isSameCall(record, { ...call, prompt_version }),
  );
  expect(same).toEqual([true, true, true, false, false]);
});
