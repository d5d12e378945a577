import { describe, expect, it } from 'vitest';
import type { Answer } from '../../models/index.js';
import { openSpeech, WAITING_CHARS } from './speech.js';
import { ANSWER, untilAborted } from './testing/served.js';

type Begin = Parameters<typeof openSpeech>[0];

/** A speech that the test says, and how it is stopped. */
const speaking = (failure?: string) => {
  let hearing!: Parameters<Begin>[0];
  let signal!: AbortSignal;
  let finish!: (answer: Answer) => void;
  const speech = openSpeech(
    (hear, stop) => {
      hearing = hear;
      signal = stop;
      return Promise.race([
        untilAborted(stop),
        new Promise<Answer>((resolve) => {
          finish = resolve;
        }),
      ]);
    },
    () => failure,
  );
  return { speech, hearing, signal, finish: (answer: Answer) => finish(answer) };
};
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a speech', () => {
  it('joins what waits: text with text, arguments of one tool call with each other', () => {
    const { speech, hearing } = speaking();
    for (const text of ['a', '', 'b']) hearing.onText(text);
    hearing.onToolCall({ kind: 'tool_call', index: 0, id: 'c', name: 'f' });
    for (const part of ['{', '}']) hearing.onToolCall({ kind: 'tool_call', index: 0, arguments: part });
    hearing.onToolCall({ kind: 'tool_call', index: 1, id: 'd', name: 'g', arguments: '[]' });
    hearing.onText('c');
    expect(speech.take()).toEqual([
      { kind: 'text', text: 'ab' },
      { kind: 'tool_call', index: 0, id: 'c', name: 'f', arguments: '{}' },
      { kind: 'tool_call', index: 1, id: 'd', name: 'g', arguments: '[]' },
      { kind: 'text', text: 'c' },
    ]);
    expect(speech.take()).toEqual([]);
  });

  it('wakes who waits, at a piece and at the end', async () => {
    const { speech, hearing, finish } = speaking();
    const first = speech.ready();
    hearing.onText('a');
    await first;
    speech.take();
    const end = speech.ready();
    finish(ANSWER);
    await end;
    expect(speech.outcome).toEqual({ ok: true, answer: ANSWER });
  });

  it('begins anew unseen as long as nothing was taken', () => {
    const { speech, hearing, signal } = speaking();
    hearing.onText('wrong');
    hearing.onRestart();
    hearing.onText('right');
    expect([speech.take(), signal.aborted]).toEqual([[{ kind: 'text', text: 'right' }], false]);
  });

  it('that begins anew after something was taken ends with an error, and the ask is stopped', async () => {
    const { speech, hearing, signal } = speaking('model_garbage');
    hearing.onText('half');
    speech.take();
    hearing.onText('more');
    hearing.onRestart();
    hearing.onText('anew');
    await settled();
    expect(speech.outcome).toMatchObject({
      ok: false,
      error: { code: 'model_garbage', message: expect.stringContaining('not the whole answer') },
    });
    expect([speech.take(), signal.aborted]).toEqual([[], true]);
  });

  it('is stopped when too much waits', async () => {
    const { speech, hearing, signal } = speaking();
    hearing.onText('x'.repeat(WAITING_CHARS));
    expect(signal.aborted).toBe(false);
    hearing.onText('x');
    expect([signal.aborted, speech.take()]).toEqual([true, []]);
    expect(speech.outcome).toMatchObject({ error: { code: 'client_too_slow' } });
  });

  it('that is stopped stays as it ended, whatever comes later', async () => {
    const { speech, hearing, signal, finish } = speaking();
    const reason = new Error('gone');
    speech.stop(reason);
    finish(ANSWER);
    hearing.onText('late');
    hearing.onRestart();
    speech.stop(new Error('again'));
    await settled();
    expect(speech.outcome).toEqual({ ok: false, error: reason });
    expect([signal.reason, speech.take()]).toEqual([reason, []]);
  });
});
