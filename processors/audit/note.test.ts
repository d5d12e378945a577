import { expect, test } from 'vitest';
import { checkpointText, openNote, parseCheckpoint, signNote, verifierOf, vkeyOf } from './note.js';
import { KEY, keyOf } from './testing/histories.js';

// The example that Go's note package is documented with.
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const NOTE = `${TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

test('a note that others signed is opened with the key that others published', () => {
  expect(openNote(NOTE, verifierOf(VKEY))).toBe(TEXT);
  expect(openNote(NOTE.replace('answer', 'anſwer'), verifierOf(VKEY))).toBeUndefined();
  expect(openNote(NOTE, verifierOf(KEY.vkey))).toBeUndefined();
});

test('what is signed is opened, also beside signatures of others, and nothing else is', () => {
  const note = signNote('a\nb\n', KEY);
  const other = signNote('a\nb\n', keyOf(2, 'witness.example')).split('\n\n')[1]!;
  const verifier = verifierOf(KEY.vkey);
  expect(openNote(note, verifier)).toBe('a\nb\n');
  expect(openNote(note.replace('\n\n', `\n\n${other}`), verifier)).toBe('a\nb\n');
  expect(openNote(`${note}${other}`, verifier)).toBe('a\nb\n');
  // Another key under the same name.
  expect(openNote(signNote('a\nb\n', keyOf(2)), verifier)).toBeUndefined();
  for (const broken of ['', '\n\n', note.slice(0, -1), note.replace('a\n', 'c\n'), note.replace('— ', '- '), note.replace('\n\n', '\n')])
    expect(openNote(broken, verifier)).toBeUndefined();
  for (let i = 0; i < note.length; i++) {
    const changed = `${note.slice(0, i)}${note[i] === 'x' ? 'y' : 'x'}${note.slice(i + 1)}`;
    expect(openNote(changed, verifier)).toBeUndefined();
  }
});

test('a key is told by its name too, and a vkey that is none is refused', () => {
  expect(vkeyOf('PeterNeumann', Buffer.from(VKEY.split('+').slice(2).join('+'), 'base64').subarray(1))).toBe(VKEY);
  for (const bad of ['', 'a', `x${VKEY}`, VKEY.replace('c7', 'c8'), VKEY.slice(0, -4), VKEY.replace('+AR', '+BR')])
    expect(() => verifierOf(bad)).toThrow(/not the vkey/);
});

test('a checkpoint is read as it was written; other text is none', () => {
  const root = Buffer.alloc(32, 7);
  const text = checkpointText({ origin: 'dats/projects/demo', size: 12, root });
  expect(text).toBe(`dats/projects/demo\n12\n${root.toString('base64')}\n`);
  expect(parseCheckpoint(text)).toEqual({ origin: 'dats/projects/demo', size: 12, root });
  expect(parseCheckpoint(`${text}extension\n`)).toMatchObject({ size: 12 });
  for (const bad of [
    '',
    text.slice(0, -1),
    text.replace('12', '012'),
    text.replace('12', '-1'),
    text.replace('dats/projects/demo', ''),
    `${text}\n`,
  ])
    expect(parseCheckpoint(bad)).toBeUndefined();
});
