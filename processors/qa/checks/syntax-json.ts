// Are the JSON files JSON?
import type { Check, LoadedFile } from '../check.js';
import { type Mistake, ofType, syntaxResult } from './results.js';

function mistakeIn(file: LoadedFile): readonly Mistake[] {
  try {
    JSON.parse(file.content);
    return [];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const at = /position (\d+)/.exec(message)?.[1];
    const end = at === undefined ? file.content.length : Number(at);
    return [
      {
        path: file.path,
        line: file.content.slice(0, end).split('\n').length,
        message: message.replace(/ \(line \d+ column \d+\)$/, '').slice(0, 300),
      },
    ];
  }
}

export const syntaxJson: Check = {
  name: 'syntax:json',
  profiles: ['syntax', 'tests'],
  applies: (input) => ofType(input.artifacts, 'json').length > 0,
  async run(input, _ports, signal) {
    signal.throwIfAborted();
    const started = performance.now();
    const files = ofType(input.artifacts, 'json');
    return [syntaxResult(this.name, files, files.flatMap(mistakeIn), started)];
  },
};
