// Are the JavaScript or TypeScript files well-formed? Parsed, not run; types are not checked.
import type { Check, CheckInput } from '../check.js';
import { parser } from './parser-process.js';
import { type Mistake, ofType, syntaxResult } from './results.js';

const syntaxOf = (language: 'javascript' | 'typescript'): Check => ({
  name: `syntax:${language}`,
  profiles: ['syntax', 'tests'],
  applies: (input: CheckInput) => ofType(input.artifacts, language).length > 0,
  async run(input, _ports, signal) {
    const started = performance.now();
    const files = ofType(input.artifacts, language);
    const mistakes: Mistake[] = [];
    for (const file of files) {
      signal.throwIfAborted();
      const { errors } = await parser.parse({ path: file.path, source: file.content });
      mistakes.push(...errors.map((error) => ({ path: file.path, ...error })));
    }
    return [syntaxResult(this.name, files, mistakes, started)];
  },
});

export const syntaxJavaScript = syntaxOf('javascript');
export const syntaxTypeScript = syntaxOf('typescript');
