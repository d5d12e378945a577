import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSafePath } from '../../schemas/index.js';
import { ANSWER_ERRORS, type AnswerContext, FILES_LIMIT, filesIn } from './answer.js';
import { renderFiles, type TextFile } from './fence.js';

const files = (text: string, context: Partial<AnswerContext> = {}): readonly TextFile[] | string => {
  const result = filesIn(text, { finish_reason: 'stop', ...context });
  return result.ok ? result.files : result.error.code;
};
const block = (info: string, content = 'x = 1') => `\`\`\`${info}\n${content}\n\`\`\``;

describe('an answer', () => {
  it.each([
    ['the form that was asked for', block('python path=src/slug.py'), 'src/slug.py'],
    ['double quotes', block('python path="my src/slug.py"'), 'my src/slug.py'],
    ['single quotes', block("python path='src/slug.py'"), 'src/slug.py'],
    ['file=', block('python file=src/slug.py'), 'src/slug.py'],
    ['filename:', block('python filename: src/slug.py'), 'src/slug.py'],
    ['title="..."', block('python title="src/slug.py"'), 'src/slug.py'],
    ['braces', block('python {path=src/slug.py, lines=3}'), 'src/slug.py'],
    ['no language', block('path=src/slug.py'), 'src/slug.py'],
    ['language:path', block('python:src/slug.py'), 'src/slug.py'],
    ['a bare path', block('python src/slug.py'), 'src/slug.py'],
    ['a leading ./', block('python path=./src/slug.py'), 'src/slug.py'],
    ['a comment with a label', block('python', '# path: src/slug.py\nx = 1'), 'src/slug.py'],
    ['a comment with a path', block('python', '// src/slug.py\nx = 1'), 'src/slug.py'],
    ['a comment of HTML', block('html', '<!-- src/slug.py -->\nx = 1'), 'src/slug.py'],
    ['a heading above', `### \`src/slug.py\`\n\n${block('python')}`, 'src/slug.py'],
    ['bold above', `**src/slug.py**:\n${block('python')}`, 'src/slug.py'],
    ['tildes', '~~~python path=src/slug.py\nx = 1\n~~~', 'src/slug.py'],
  ])('names its file by %s', (_, text, path) => {
    expect(files(`Here you are:\n\n${text}\n\nEnjoy.`)).toEqual([{ path, content: 'x = 1\n' }]);
  });

  it('may be written with CRLF and within a list', () => {
    expect(files(block('python path=a.py', 'a\nb').replaceAll('\n', '\r\n'))).toEqual([{ path: 'a.py', content: 'a\nb\n' }]);
    expect(files('1. First:\n   ```python path=a.py\n   def f():\n       return 1\n   ```\n')).toEqual([
      { path: 'a.py', content: 'def f():\n    return 1\n' },
    ]);
  });

  it('may nest fences: longer around shorter, indented in code, or named within Markdown', () => {
    expect(files('````markdown path=README.md\n```sh\nnpm i\n```\n````')).toEqual([{ path: 'README.md', content: '```sh\nnpm i\n```\n' }]);
    expect(files(block('python path=a.py', '"""\n    ```\n    x\n    ```\n"""'))).toEqual([
      { path: 'a.py', content: '"""\n    ```\n    x\n    ```\n"""\n' },
    ]);
    expect(files(`${block('markdown path=README.md', 'Use:\n```sh\nnpm i\n```\nDone')}\n${block('python path=a.py')}`)).toEqual([
      { path: 'README.md', content: 'Use:\n```sh\nnpm i\n```\nDone\n' },
      { path: 'a.py', content: 'x = 1\n' },
    ]);
  });

  it('may leave the name of its only file to us', () => {
    expect(files(block('python'))).toEqual([{ path: 'solution.py', content: 'x = 1\n' }]);
    expect(files(block('ts'))).toEqual([{ path: 'solution.ts', content: 'x = 1\n' }]);
    expect(files(block(''), { language: 'javascript' })).toEqual([{ path: 'solution.mjs', content: 'x = 1\n' }]);
    expect(files(`${block('python')}\nRun it:\n${block('sh', 'python solution.py')}`, { language: 'python' })).toEqual([
      { path: 'solution.py', content: 'x = 1\n' },
    ]);
  });

  it('may talk in blocks without a path beside its files', () => {
    expect(files(`${block('sh', 'pip install x')}\n${block('python path=a.py')}`)).toEqual([{ path: 'a.py', content: 'x = 1\n' }]);
  });

  it('may end without closing its last fence when it was not cut off', () => {
    expect(files('```python path=a.py\nx = 1\n')).toEqual([{ path: 'a.py', content: 'x = 1\n' }]);
  });

  it('gives a file twice without harm when both are the same', () => {
    expect(files(`${block('python path=a.py')}\n${block('python path=./a.py')}`)).toEqual([{ path: 'a.py', content: 'x = 1\n' }]);
  });

  it.each([
    ['answer_truncated', '```python path=a.py\nx = 1', { finish_reason: 'length' as const }],
    ['answer_truncated', 'Let me think about', { finish_reason: 'length' as const }],
    ['answer_no_file', 'I am sorry.', {}],
    ['answer_no_file', '', {}],
    ['answer_no_file', block('python', '  '), {}],
    ['answer_path_missing', `${block('python')}\n${block('python', 'y = 2')}`, { language: 'python' as const }],
    ['answer_duplicate_path', `${block('python path=a.py')}\n${block('python path=a.py', 'y = 2')}`, {}],
    ['answer_unsafe_path', block('python path=../a.py'), {}],
    ['answer_unsafe_path', block('python path=/etc/passwd'), {}],
    ['answer_unsafe_path', block('python path="C:\\\\a.py"'), {}],
    ['answer_unsafe_path', block('python path="src/"'), {}],
    ['answer_too_many_files', Array.from({ length: FILES_LIMIT + 1 }, (_, i) => block(`python path=${i}.py`)).join('\n'), {}],
    ['answer_too_large', block('text path=a.txt', 'x'.repeat(10 * 1024 * 1024)), {}],
  ])('is refused as %s', (code, text, context) => {
    expect(files(text, context)).toBe(code);
  });

  it('that is complete counts although the token limit was met after it', () => {
    expect(files(`${block('python path=a.py')}\nAnd now I expl`, { finish_reason: 'length' })).toEqual([
      { path: 'a.py', content: 'x = 1\n' },
    ]);
  });

  it('tells the next attempt what to do otherwise', () => {
    const result = filesIn('no', { finish_reason: 'stop' });
    expect(result.ok ? '' : result.error.message).toContain('```python path=src/slug.py');
  });
});

const pathArbitrary = fc
  .array(fc.stringMatching(/^[\w @.+äß`-]{1,12}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => `${parts.join('/')}.py`)
  .filter(isSafePath);
const contentArbitrary = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('```', '````', '```python path=b.py', '~~~', '  ```', '# path: c.py', '', 'x = 1'),
    ),
    { maxLength: 12 },
  )
  .map((lines) => lines.map((line) => line.replaceAll(/[\r\n]/g, '')).join('\n'));

describe('any files', () => {
  it('come back from what they are rendered to', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ path: pathArbitrary, content: contentArbitrary }), {
          minLength: 1,
          maxLength: 5,
          selector: ({ path }) => path,
        }),
        (given) => {
          const expected = given.map(({ path, content }) => ({
            path,
            content: content === '' || content.endsWith('\n') ? content : `${content}\n`,
          }));
          expect(files(`Some words.\n\n${renderFiles(given)}\n`)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('or an error are what any text gives', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('```', '~~~~', '```py path=', ' path="', '\n', '\r\n', '../', 'a.py', '# a.py\n', '"', "'", '{', '\u0000'),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        fc.constantFrom('stop' as const, 'length' as const, 'other' as const),
        (pieces, finish_reason) => {
          const result = filesIn(pieces.join(''), { finish_reason });
          if (result.ok) expect(result.files.length > 0 && result.files.every(({ path }) => isSafePath(path))).toBe(true);
          else expect(ANSWER_ERRORS).toContain(result.error.code);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('may be hostile: what would take the square of their length would not end here', () => {
    const n = 200_000;
    const hostile = [
      '`'.repeat(n),
      `\`\`\`${' '.repeat(n)}x`,
      '```a\n'.repeat(n / 4),
      `# ${'a/'.repeat(n / 2)}`,
      block('py', `# ${'a.'.repeat(n / 2)}!`),
      block(`py ${'a.'.repeat(n / 2)}!`),
      block(`py ${'path='.repeat(n / 5)}`),
      `${'a'.repeat(n)}!\n${block('py')}`,
      block('py', `#${' '.repeat(n)}`),
    ];
    for (const text of hostile) expect(['string', 'object']).toContain(typeof files(text));
  });
});
