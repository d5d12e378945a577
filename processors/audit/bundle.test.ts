import { describe, expect, test } from 'vitest';
import { bundleLines, writeBundle } from './bundle.js';
import { historyOf, KEY, PROJECT } from './testing/histories.js';

describe('a stream', () => {
  const lines = async (): Promise<string[]> => {
    const all: string[] = [];
    const head = { vkey: KEY.vkey, origin: `dats/projects/${PROJECT}`, project: PROJECT };
    for await (const line of bundleLines({ head, ...historyOf(5, 5) })) all.push(line);
    return all;
  };

  test('makes a bundle, and says what is in it', async () => {
    const files = new Map<string, string>();
    const written = await writeBundle(await lines(), (file, text) => void files.set(file, (files.get(file) ?? '') + text));
    expect(written).toEqual({ vkey: KEY.vkey, origin: 'dats/projects/demo', project: 'demo', events: 5, checkpoints: 1 });
    expect([...files.keys()].sort()).toEqual(['README.txt', 'checkpoints.jsonl', 'events.jsonl', 'key.vkey']);
    expect(files.get('README.txt')).toContain(KEY.vkey);
  });

  test.each([
    ['cut off', (all: string[]) => all.slice(0, -1)],
    ['with a line less', (all: string[]) => all.filter((_, i) => i !== 2)],
    ['without its head', (all: string[]) => all.slice(1)],
    ['with two heads', (all: string[]) => [all[0]!, ...all]],
    ['that goes on behind its end', (all: string[]) => [...all, all[1]!]],
    ['with a line that is none', (all: string[]) => [all[0]!, '{"event":{}}\n', ...all.slice(1)]],
    ['of nothing', () => []],
  ])('%s is refused', async (_, edit) => {
    await expect(writeBundle(edit(await lines()), () => undefined)).rejects.toMatchObject({ code: 'bad_bundle' });
  });
});
