// Fenced blocks of a Markdown text, as models write them. Pure, one pass over the lines, never throws.
//
// B1. A block is closed by a fence of the same mark, at least as long, indented at most three blanks more than the opening one. B2. In a block of
// Markdown a fence with an info string opens a block of its own, whose closing fence does not close the outer one. B3. What is open at the end is `unterminated`.

export interface Block {
  /** What stands behind the opening fence. */
  readonly info: string;
  readonly lines: readonly string[];
  /** The nearest line above the block that is not empty, if it belongs to no block. */
  readonly above: string;
  readonly unterminated: boolean;
}

interface Open {
  readonly mark: string;
  readonly length: number;
  readonly indent: number;
  readonly info: string;
  readonly above: string;
  readonly lines: string[];
  inner: number;
}

const FENCE = /^([ \t]*)(`{3,}|~{3,})[ \t]*(.*?)[ \t]*$/;
const MARKDOWN = /^(markdown|md|mdx)\b/i;
const CLOSING_INDENT = 3;

const opening = (line: string, above: string): Open | undefined => {
  const match = FENCE.exec(line);
  if (!match) return undefined;
  const [, blanks, fence, info] = match as unknown as [string, string, string, string];
  // Three backticks and more on the same line are code within a sentence.
  if (fence[0] === '`' && info.includes('`')) return undefined;
  return { mark: fence[0]!, length: fence.length, indent: blanks.length, info, above, lines: [], inner: 0 };
};

/** `line` within the block `open`: true when it closes it. */
const closes = (open: Open, line: string): boolean => {
  if (!line.includes(open.mark)) return false;
  const match = FENCE.exec(line);
  if (!match) return false;
  const [, blanks, fence, info] = match as unknown as [string, string, string, string];
  if (fence[0] !== open.mark || fence.length < open.length || blanks.length > open.indent + CLOSING_INDENT) return false;
  if (info === '') {
    if (open.inner === 0) return true;
    open.inner--;
  } else if (MARKDOWN.test(open.info) && !info.includes(open.mark)) open.inner++;
  return false;
};

const unindent = (line: string, indent: number): string => {
  let i = 0;
  while (i < indent && (line[i] === ' ' || line[i] === '\t')) i++;
  return i === 0 ? line : line.slice(i);
};

export const blocksIn = (text: string): readonly Block[] => {
  const blocks: Block[] = [];
  let open: Open | undefined;
  let above = '';
  for (const raw of text.split('\n')) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (open === undefined) {
      open = opening(line, above);
      if (open === undefined && line.trim() !== '') above = line.trim();
    } else if (closes(open, line)) {
      blocks.push({ info: open.info, lines: open.lines, above: open.above, unterminated: false });
      open = undefined;
      above = '';
    } else {
      open.lines.push(open.indent === 0 ? line : unindent(line, open.indent));
    }
  }
  if (open !== undefined) {
    // The text's own last line end is no line of the block.
    if (open.lines.at(-1) === '') open.lines.pop();
    blocks.push({ info: open.info, lines: open.lines, above: open.above, unterminated: true });
  }
  return blocks;
};
