import { describe, expect, it } from 'vitest';
import { loadScript, openScripted } from '../../models/index.js';
import { demoAnswers } from './demo-answers.mjs';
import { demoModel, STRANGER } from './demo-model.mjs';
import { sha256Of } from './gguf.mjs';
import { openGguf } from './testing/gguf-file.js';
import { openOneLayer } from './testing/one-layer.js';
import { toyModel } from './toy-models.mjs';

const SCRIPT = new URL('../../cli/demo/script.yaml', import.meta.url).pathname;
/** Of a text, as the models' template has it. */
const prompted = (text: string): string => `<system>\nYou answer with files.\n<user>\n${text}\n<assistant>\n`;
const asked = (key: string): string => prompted(`# Task\n${key}\n\nIt does what it says.\n\nWrite what the task asks for.`);

describe.each(['small', 'medium'] as const)('the answers for the tier %s', (tier) => {
  it('are those that the scripted runner has recorded', async () => {
    const runner = openScripted({ id: 'recorded', script: await loadScript(SCRIPT) });
    const recorded = async (task: string): Promise<string> => {
      for (const purpose of ['generate', 'decompose']) {
        let text = '';
        for await (const chunk of runner.generate({ messages: [], hints: { task, purpose, tier, attempt: 1 } }, AbortSignal.timeout(5_000)))
          if (chunk.kind === 'text') text += chunk.text;
        if (!text.startsWith('No rule of the script matches')) return text.trim();
      }
      throw new Error(`nothing is recorded for ${task}`);
    };
    const ending = (await demoAnswers(tier)).filter(({ loop }) => loop === undefined);
    expect(ending).toHaveLength(8);
    expect(ending.map(({ text }) => text)).toEqual(await Promise.all(ending.map(({ key }) => recorded(key))));
  });
});

describe('the model of the demo', async () => {
  const file = await toyModel('demo-medium');
  const answers = await demoAnswers('medium');
  const { answer } = openOneLayer(file);

  it('is the same to the byte wherever it is made of the same answers', () => {
    const made = demoModel('pinned', [
      { key: 'Count to three', text: 'one, two, three' },
      { key: 'Count for ever', text: 'one', loop: ' and one' },
    ]);
    expect(sha256Of(made)).toBe('0a3c746148b8d9fd34e41cf8dda26fd157b2e3fa706703a62242639db92c658d');
  });

  it('says it to the letter, in many pieces, each far likelier than all others together', () => {
    for (const { key, text, loop } of answers) {
      if (loop !== undefined) continue;
      const said = answer(asked(key), 1_000);
      expect(said).toMatchObject({ text, ended: true });
      expect(said.pieces).toBeGreaterThan(30);
      expect(said.lead).toBeGreaterThan(30);
    }
  });

  it('has one answer without an end, which is in the middle of its file wherever it is cut', () => {
    const { key, text, loop } = answers.find((one) => one.loop !== undefined)!;
    const said = answer(asked(key), 500);
    expect(said).toMatchObject({ text: `${text}${loop!.repeat(99)}`.slice(0, said.text.length), ended: false });
    expect(said.text.length).toBeGreaterThan(5 * loop!.length);
    expect(said.lead).toBeGreaterThan(30);
  });

  it('finds the key in a long prompt, at either end', () => {
    const { key, text } = answers[0]!;
    const long = 'Numbers, + - * /, and the minus sign. '.repeat(100);
    for (const prompt of [`${key}\n${long}`, `${long}\n${key}`]) {
      const said = answer(prompted(prompt), 5);
      expect(said.text).toBe(text.slice(0, said.text.length));
      expect(said.lead).toBeGreaterThan(30);
    }
  });

  it('says that it knows nothing else', () => {
    expect(answer(prompted('Write add(a, b) in Python'), 1_000)).toMatchObject({ text: STRANGER, ended: true });
  });

  it('has no two tokens of the same text', () => {
    const tokens = openGguf(file).fields.get('tokenizer.ggml.tokens') as string[];
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('that is small gets one answer wrong', async () => {
    const differing = (await demoAnswers('small')).filter(({ text }, at) => text !== answers[at]!.text);
    expect(differing.map(({ key }) => key)).toEqual(['Convert integers to Roman numerals in Python in roman.py']);
    const { key, text } = differing[0]!;
    expect(openOneLayer(await toyModel('demo-small')).answer(asked(key), 1_000)).toMatchObject({ text, ended: true });
  });
});
