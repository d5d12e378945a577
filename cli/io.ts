// Everything a command touches besides the server: so that tests can hand in their own.

export interface Io {
  /** Standard output; no line end is added. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Standard output is a terminal: colours and a progress line. */
  readonly tty: boolean;
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Everything on standard input, as text. */
  readonly stdin: () => Promise<string>;
  /** One line that somebody at the terminal answers, without its end; undefined where nobody sits at one. @throws the signal's reason */
  readonly ask?: (question: string) => Promise<string>;
  /** Aborted by Ctrl-C (reason: Fault `interrupted`) or by a request to end (Fault `terminated`). */
  readonly signal: AbortSignal;
  readonly now: () => number;
}
