// What the demo's model knows: the recorded answers of cli/demo/script.yaml, as texts. Written once, there.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { failure } from './failure.mjs';

const SCRIPT = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'cli', 'demo', 'script.yaml');
/** An answer that takes longer than this, in milliseconds, is there to be cancelled: a model says it again and again. */
const CANCELLED_MS = 10_000;
const FENCE = '```';

/** The package is there once DATS is installed; the rest of this folder needs none. */
const yaml = async () => {
  try {
    return await import('yaml');
  } catch (cause) {
    const why =
      'The model of the demo is made of its recorded answers, and the package that reads them (yaml) is not installed. Run npm ci first.';
    throw Object.assign(failure('yaml_missing', why), { cause });
  }
};

const opened = ({ path, language }) => `${FENCE}${language} path=${path}\n`;
const fenced = (file) => {
  if (file.content.includes(FENCE)) throw new Error(`${file.path} holds ${FENCE}`);
  return `${opened(file)}${file.content}${FENCE}`;
};

/**
 * By a line of the task that asks for it, in the order of the script. Where there is a `loop`, it follows the text, and then itself.
 * @param {string} tier whose answer it is, where tiers answer differently
 * @returns {Promise<{ key: string, text: string, loop?: string }[]>}
 */
export const demoAnswers = async (tier) => {
  const { rules } = (await yaml()).parse(readFileSync(SCRIPT, 'utf8'));
  return rules.map(({ match, answers, by_tier }) => {
    const { text, files = [], latency_ms } = by_tier?.[tier] ?? answers[0];
    const key = match.task;
    if (latency_ms > CANCELLED_MS) return { key, text: opened(files[0]), loop: files[0].content };
    return { key, text: (text ?? files.map(fenced).join('\n\n')).trim() };
  });
};
