// Turns a rule's answer into what is streamed, once, when the script is opened; and makes the generic answer.
import { tokensOf } from '../accounting.js';
import type { FinishReason, GenerateChunk, ToolCallChunk } from '../runner.js';
import type { ScriptedAnswer } from './script.js';

export interface ReadyAnswer {
  readonly answer: ScriptedAnswer;
  readonly chunks: readonly (Extract<GenerateChunk, { kind: 'text' }> | ToolCallChunk)[];
  readonly finish_reason: FinishReason;
  readonly output_tokens: number;
  /** No latency and no failure: answered without a timer or a wait. */
  readonly instant: boolean;
}

/** A fence longer than any run of backticks in the content. */
const fenceFor = (content: string): string => {
  const longest = Math.max(2, ...(content.match(/`{3,}/g) ?? []).map((run) => run.length));
  return '`'.repeat(longest + 1);
};

/** One file in the house's answer format: a fenced block with the path in its info string. */
export const fenced = (path: string, language: string, content: string): string => {
  const fence = fenceFor(content);
  return `${fence}${language} path=${path}\n${content}${content.endsWith('\n') ? '' : '\n'}${fence}\n`;
};

const textOf = (answer: ScriptedAnswer): string => {
  const files = (answer.files ?? []).map((file) => fenced(file.path, file.language, file.content)).join('\n');
  if (answer.text === undefined || files === '') return answer.text ?? files;
  return `${answer.text}${answer.text.endsWith('\n') ? '' : '\n'}\n${files}`;
};

/** Cut by characters, never inside a surrogate pair. */
const cut = (text: string, size: number): readonly string[] => {
  const chunks: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + size);
    const unit = text.charCodeAt(to - 1);
    if (to < text.length && unit >= 0xd800 && unit <= 0xdbff) to += 1;
    chunks.push(text.slice(from, to));
    from = to;
  }
  return chunks;
};

const callsOf = ({ tool_calls = [] }: ScriptedAnswer): readonly ToolCallChunk[] =>
  tool_calls.map((call, index) => ({
    kind: 'tool_call',
    index,
    id: `call_${index}`,
    name: call.name,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
  }));

export const readyAnswer = (answer: ScriptedAnswer): ReadyAnswer => {
  const text = textOf(answer);
  const calls = callsOf(answer);
  const called = calls.reduce((chars, call) => chars + call.name!.length + call.arguments!.length, 0);
  return {
    answer,
    chunks: [...cut(text, answer.chunk_chars).map((piece) => ({ kind: 'text' as const, text: piece })), ...calls],
    finish_reason: answer.finish_reason ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
    output_tokens: answer.tokens?.output ?? tokensOf(text.length + called),
    instant: answer.fail === undefined && answer.latency_ms === 0 && answer.chunk_latency_ms === 0,
  };
};

const NOTE =
  'This is a placeholder. The scripted runner wrote it from a fixed text; no model was asked, and nothing of the task was solved.';
const MEND = 'To get real answers, name a model server in servers.yaml (runner: ollama or openai), or add a rule to the script file.';

const plain = { latency_ms: 0, chunk_latency_ms: 0, chunk_chars: 512 } as const;

/** What is said where no rule matches: honest, legible for the parser, and always the same. */
export const genericAnswer: ReadyAnswer = readyAnswer({
  ...plain,
  text: 'No rule of the script matches this request.',
  files: [{ path: 'PLACEHOLDER.md', language: 'markdown', content: `# Placeholder\n\n${NOTE}\n\n${MEND}\n` }],
});

/** The same for a request that wants a JSON object. */
export const genericJson: ReadyAnswer = readyAnswer({ ...plain, text: JSON.stringify({ scripted: true, note: NOTE }) });
