// One file as text: a fenced block that names its path. The same form in prompts and in answers. Pure.
//
// F1. `filesIn(render(files))` gives the files back, line ends normalised to "\n" and a line end at the end of every file that is not empty.
import { languageOf } from '../../schemas/index.js';

export interface TextFile {
  readonly path: string;
  readonly content: string;
}

const FENCE_MIN = 3;

/** A run of `mark` longer than any in `content`, so that nothing inside closes the block. */
const fenceFor = (content: string, mark: '`' | '~'): string => {
  let longest = 0;
  let run = 0;
  for (let i = 0; i < content.length; i++) {
    run = content[i] === mark ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return mark.repeat(Math.max(FENCE_MIN, longest + 1));
};

/** A path as it stands in an info string: quoted where it holds a blank. */
const infoPath = (path: string): string => (/[\s"'`]/.test(path) ? `"${path}"` : path);

export const renderFile = ({ path, content }: TextFile): string => {
  const fence = fenceFor(content, path.includes('`') ? '~' : '`');
  const language = languageOf(path);
  const body = content === '' || content.endsWith('\n') ? content : `${content}\n`;
  return `${fence}${language} path=${infoPath(path)}\n${body}${fence}`;
};

export const renderFiles = (files: readonly TextFile[]): string => files.map(renderFile).join('\n\n');
