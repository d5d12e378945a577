// What the server says of itself: counts, contexts, models.
import { isFault } from '../../schemas/index.js';
import { promptTokensOf } from '../accounting.js';
import type { ModelInfo } from '../runner.js';
import { type Check, type CheckContext, type Finding, findingOf, heardOf, shownMs, user } from './check.js';

const withoutTag = (name: string): string => name.replace(/:latest$/, '');
const ownOf = (listed: readonly ModelInfo[], model: string): ModelInfo | undefined =>
  listed.find(({ name }) => withoutTag(name) === withoutTag(model));

/** Between one token for sixteen characters, and three for each byte with a template around it. */
const isPlausible = (counted: number, chars: number): boolean => counted >= chars / 16 && counted <= chars * 3 + 256;

const usage: Check = {
  name: 'usage',
  tries: 'are tokens counted, and can the count be true?',
  calls: 3,
  tokens: 400,
  run: async (context) => {
    try {
      const messages = user('The quick brown fox jumps over the lazy dog, and the dog does not mind at all. Say yes.');
      const { input_tokens, output_tokens, estimated } = await heardOf(context, { messages, max_tokens: 16 }, () => true);
      if (estimated) return { outcome: 'missing', evidence: 'no counts' };
      const plausible = isPlausible(input_tokens, messages[0]!.content.length) && output_tokens > 0 && output_tokens <= 18;
      const evidence = `${input_tokens} in (estimated ${promptTokensOf({ messages })}), ${output_tokens} out`;
      return { outcome: plausible ? 'ok' : 'partly', evidence };
    } catch (error) {
      return findingOf(error);
    }
  },
  about: {
    partly: 'takes the counts as they are: costs and budgets are as wrong as they are',
    missing: 'estimates four characters a token: costs and budgets are good to some 20 %',
    failed: 'counts the call as failed and tries again',
  },
};

const models: Check = {
  name: 'models',
  tries: 'is the model in the list of the server?',
  calls: 1,
  tokens: 0,
  run: async ({ runner, model, signal }) => {
    try {
      const listed = await runner.models(signal);
      const there = ownOf(listed, model.model) !== undefined;
      return {
        outcome: there ? 'ok' : listed.length === 0 ? 'partly' : 'failed',
        evidence: `${listed.length} listed, it is ${there ? '' : 'not '}among them`,
      };
    } catch (error) {
      return findingOf(error, 'missing');
    }
  },
  about: {
    partly: 'takes the model for healthy as soon as the server answers',
    missing: 'cannot see whether it is up: the model counts as down. Ask for a list at base_url',
    failed: 'the model counts as down: correct `model` in servers.yaml',
  },
};

const context: Check = {
  name: 'context',
  tries: 'what context has the model, by its server?',
  calls: 1,
  tokens: 0,
  run: async ({ runner, model, signal }) => {
    try {
      const told = ownOf(await runner.models(signal), model.model)?.context_tokens;
      if (told === undefined) return { outcome: 'missing', evidence: `not told; servers.yaml says ${model.context_tokens}` };
      return {
        outcome: told >= model.context_tokens ? 'ok' : 'partly',
        evidence: `${told} tokens; servers.yaml says ${model.context_tokens}`,
      };
    } catch (error) {
      return findingOf(error, 'missing');
    }
  },
  about: {
    partly: 'believes servers.yaml: set context_tokens to what the server has',
    missing: 'believes context_tokens of servers.yaml',
    failed: 'believes context_tokens of servers.yaml',
  },
};

/** Longer prompts are not sent to find out. */
export const LONGEST_TRIED_TOKENS = 65_536;

/** Words that no tokenizer makes less than a token of, some more than `tokens`. */
const longerThan = (tokens: number): string =>
  Array.from({ length: Math.ceil(tokens * 1.1) }, (_, i) => `${(i * 7) % 10}${'xkqz'[i % 4]}`).join(' ');

const overlong = async (checked: CheckContext): Promise<Finding> => {
  const { runner, model, signal, clock } = checked;
  const told = ownOf(await runner.models(signal).catch(() => []), model.model)?.context_tokens;
  const limit = Math.max(told ?? 0, model.context_tokens);
  if (runner.scripted) return { outcome: 'missing', evidence: 'no model stands behind it' };
  if (model.paid || limit > LONGEST_TRIED_TOKENS)
    return { outcome: 'partly', evidence: `not tried: ${model.paid ? 'it would be paid for' : `${limit} tokens are too many to try`}` };
  const started = clock.now();
  try {
    const { input_tokens, estimated } = await heardOf(checked, { messages: user(longerThan(limit)), max_tokens: 4 }, () => true);
    if (estimated) return { outcome: 'partly', evidence: `a prompt of more than ${limit} tokens was answered, and not counted` };
    const evidence = `a prompt of more than ${limit} tokens was answered, ${input_tokens} of them counted`;
    return { outcome: input_tokens > limit ? 'ok' : 'failed', evidence };
  } catch (error) {
    if (!isFault(error)) throw error;
    const evidence = `a prompt of more than ${limit} tokens: ${error.code} after ${shownMs(clock.now() - started)}`;
    return { outcome: error.code === 'model_context' ? 'ok' : 'partly', evidence };
  }
};

const overflow: Check = {
  name: 'overflow',
  tries: 'a prompt that is longer than the context',
  calls: 3,
  tokens: 0,
  run: overlong,
  about: {
    partly: 'a prompt that is too long fails with another reason than its length: keep context_tokens at what the server has',
    missing: '-',
    failed:
      'the server cuts prompts in silence: set context_tokens no higher than its context, so that DATS sends longer prompts elsewhere',
  },
};

export const FIGURE_CHECKS: readonly Check[] = [usage, models, context, overflow];
