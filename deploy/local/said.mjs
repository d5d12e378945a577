// What a program said before it failed, short enough for a message.
const SAID_LINES = 8;
const SAID_CHARACTERS = 300;

/** @param {{ stdout?: string, stderr?: string, message: string }} error of execFile */
export const saidBy = (error) => {
  const lines = `${error.stdout ?? ''}\n${error.stderr ?? ''}`.split('\n').filter((line) => line.trim() !== '');
  return (lines.length > 0 ? lines : [error.message])
    .slice(0, SAID_LINES)
    .map((line) => `    ${line.slice(0, SAID_CHARACTERS)}`)
    .join('\n');
};
