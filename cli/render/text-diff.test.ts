import { describe, expect, it } from 'vitest';
import { coloursFor, diffLines } from './index.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const numbered = (count: number, word: string): string => Array.from({ length: count }, (_, i) => `${word} ${i}\n`).join('');

describe('a diff', () => {
  it('shows what goes and what comes, with what stands around it', () => {
    expect(diffLines(bytes('a\nb\nc\nd\ne\nf\ng\nh\ni\n'), bytes('a\nb\nc\nd\nE\nf\ng\nh\ni\n'))).toEqual([
      '@@ -2,7 +2,7 @@',
      ' b',
      ' c',
      ' d',
      '-e',
      '+E',
      ' f',
      ' g',
      ' h',
    ]);
  });

  it('of what was not there, or is to go, is all of it', () => {
    expect(diffLines(undefined, bytes('a\nb\n'))).toEqual(['@@ -0,0 +1,2 @@', '+a', '+b']);
    expect(diffLines(bytes('a\n'), undefined)).toEqual(['@@ -1,1 +0,0 @@', '-a']);
  });

  it('says that the last line has no end', () => {
    expect(diffLines(bytes('a'), bytes('a\n'))).toContain('\\ No newline at end of file');
  });

  it('is cut, and says how much is left', () => {
    const lines = diffLines(undefined, bytes(numbered(100, 'new')), { lines: 10 });
    expect([lines.length, lines.at(-1)]).toEqual([11, '(91 more lines)']);
  });

  it('is said in a word where there is none to show', () => {
    expect(diffLines(bytes('a\n'), bytes('a\n'))).toEqual(['(the same text)']);
    expect(diffLines(Uint8Array.of(0xff, 0xfe), bytes('a'))).toEqual(['(not text)']);
    expect(diffLines(Uint8Array.of(0, 1), bytes('a'))).toEqual(['(not text)']);
    expect(diffLines(new Uint8Array(600 * 1024), bytes('a'))).toEqual(['(too long to be compared here)']);
    expect(diffLines(bytes(numbered(3_000, 'old')), bytes(numbered(3_000, 'new')))).toEqual(['(nearly every line differs)']);
  });

  it('lets no control character of a file reach the terminal, and has colours where they are asked for', () => {
    expect(diffLines(undefined, bytes('a\u001b[2Jb\n'))).toEqual(['@@ -0,0 +1,1 @@', '+a[2Jb']);
    expect(diffLines(bytes('a\n'), bytes('b\n'), { colours: coloursFor(true) })[1]).toBe('\u001b[31m-a\u001b[39m');
  });
});
