// Does it answer, and does it listen: streaming, roles, limits, stops, seeds.
import { type Check, type CheckContext, type Finding, findingOf, heard, heardOf, shownMs, user } from './check.js';

const COUNT = 'Count from one to twenty in words, separated by commas.';
/** A server that gathers an answer before it sends it sends all pieces within this time, after a wait that is much longer. */
const [AT_ONCE_MS, LONG_WAIT_MS, MANY_PIECES] = [20, 1_000, 8];

const answers: Check = {
  name: 'answers',
  tries: 'a short question',
  calls: 3,
  tokens: 300,
  needed: true,
  run: async (context) => {
    try {
      const { text, finish_reason, took_ms } = await heardOf(context, { messages: user(COUNT), max_tokens: 48 }, ({ text }) => text !== '');
      return {
        outcome: text === '' ? 'failed' : 'ok',
        evidence: `${text.length} characters in ${shownMs(took_ms)}, ended by ${finish_reason}`,
      };
    } catch (error) {
      return findingOf(error);
    }
  },
  about: {
    partly: '-',
    missing: '-',
    failed: 'passes the model over until it answers; nothing else can be checked',
  },
};

const streaming: Check = {
  name: 'streaming',
  tries: 'does the answer come in pieces, as it is made?',
  calls: 3,
  tokens: 300,
  run: async (context) => {
    try {
      const answer = await heardOf(context, { messages: user(COUNT), max_tokens: 48 }, ({ pieces }) => pieces > 1);
      const { pieces, first_ms, last_ms } = answer;
      const evidence = `${pieces} pieces, the first after ${shownMs(first_ms)}, the last ${shownMs(last_ms - first_ms)} later`;
      const gathered = pieces >= MANY_PIECES && first_ms >= LONG_WAIT_MS && last_ms - first_ms <= AT_ONCE_MS;
      return { outcome: pieces > 1 && !gathered ? 'ok' : 'partly', evidence };
    } catch (error) {
      return findingOf(error);
    }
  },
  about: {
    partly:
      'live text comes late and at once; idle_timeout_ms has to be longer than a whole answer takes (a proxy on the way may gather it)',
    missing: '-',
    failed: 'counts the call as failed and tries again',
  },
};

const system: Check = {
  name: 'system',
  tries: 'a system message before the question',
  calls: 2,
  tokens: 120,
  needed: true,
  run: async (context) => {
    try {
      const ask = async (messages: Parameters<typeof heard>[1]['messages']) => heardOf(context, { messages, max_tokens: 8 }, () => true);
      const plain = await ask(user('Say yes.'));
      const both = await ask([{ role: 'system', content: 'You are a terse assistant who answers in a single word.' }, ...user('Say yes.')]);
      const more = both.input_tokens - plain.input_tokens;
      return { outcome: more > 0 ? 'ok' : 'partly', evidence: `the prompt is ${more} tokens longer with it` };
    } catch (error) {
      return findingOf(error);
    }
  },
  about: {
    partly:
      'its template seems to leave system messages out: answers may not be in the form that DATS asks for, and are rejected; give it another template',
    missing: '-',
    failed: 'cannot say in which form it wants an answer: do not use this model',
  },
};

const maxTokens: Check = {
  name: 'max_tokens',
  tries: 'an answer of 8 tokens at most',
  calls: 3,
  tokens: 120,
  run: async (context) => {
    try {
      const { output_tokens, finish_reason } = await heardOf(
        context,
        { messages: user(COUNT), max_tokens: 8 },
        (a) => a.finish_reason === 'length',
      );
      const evidence = `${output_tokens} tokens, ended by ${finish_reason}`;
      if (output_tokens > 10) return { outcome: 'missing', evidence };
      return { outcome: finish_reason === 'length' ? 'ok' : 'partly', evidence };
    } catch (error) {
      return findingOf(error, 'missing');
    }
  },
  about: {
    partly: 'an answer that was cut may not say so: it is rejected for what it lacks, not for its length',
    missing: 'cannot keep calls within a budget before they are made; timeout_ms is what limits an answer',
    failed: 'counts the call as failed and tries again',
  },
};

/** Three characters from the middle of a text that do not stand before it; undefined where there are none. */
const middleOf = (text: string): string | undefined => {
  for (let at = Math.floor(text.length / 3); at + 3 < text.length; at++) {
    const piece = text.slice(at, at + 3);
    if (piece.trim() === piece && text.indexOf(piece) === at) return piece;
  }
  return undefined;
};

const stop: Check = {
  name: 'stop',
  tries: 'the same question twice, then with a stop sequence from its answer',
  calls: 2,
  tokens: 200,
  run: async (context) => {
    try {
      const request = { messages: user(COUNT), max_tokens: 48, temperature: 0, seed: 1 };
      const whole = await heard(context, request);
      const sequence = middleOf(whole.text);
      if (sequence === undefined) return { outcome: 'partly', evidence: `an answer of ${whole.text.length} characters, too short to tell` };
      const cut = await heard(context, { ...request, stop: [sequence] });
      const evidence = `${whole.text.length} characters without, ${cut.text.length} with it, ended by ${cut.finish_reason}`;
      if (cut.text.includes(sequence)) return { outcome: 'missing', evidence };
      return { outcome: cut.finish_reason === 'stop' && cut.text.length < whole.text.length ? 'ok' : 'partly', evidence };
    } catch (error) {
      return findingOf(error, 'missing');
    }
  },
  about: {
    partly: 'nothing: it could not be told whether they are honoured',
    missing: 'its own work needs none; clients of /v1 get more than they asked for',
    failed: 'counts the call as failed and tries again',
  },
};

const seeds = async (context: CheckContext): Promise<Finding> => {
  const ask = (seed: number) =>
    heard(context, { messages: user('Write one short sentence about the sea.'), max_tokens: 24, temperature: 1, seed });
  const [first, again, other] = [await ask(7), await ask(7), await ask(8)];
  const [same, different] = [first.text === again.text, first.text !== other.text];
  const evidence = `same seed: ${same ? 'the same' : 'another'} text; other seed: ${different ? 'another' : 'the same'} text`;
  return { outcome: !same ? 'missing' : different ? 'ok' : 'partly', evidence };
};

const seed: Check = {
  name: 'seed',
  tries: 'the same question twice with one seed, once with another',
  calls: 3,
  tokens: 200,
  run: (context) => seeds(context).catch((error: unknown) => findingOf(error, 'missing')),
  about: {
    partly: 'another attempt may get the same answer',
    missing: 'nothing is lost: answers are recorded, and replays read the record',
    failed: 'counts the call as failed and tries again',
  },
};

export const TEXT_CHECKS: readonly Check[] = [answers, streaming, system, maxTokens, stop, seed];
