interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export function built(wanted: {
  readonly cache: string;
  readonly name: string;
  readonly what: string;
  readonly commandsIn: (folder: string) => Promise<readonly Command[]>;
  /** False: what is not there already is not built (`not_built`). Default true. */
  readonly allowed?: boolean;
  readonly finish?: (folder: string) => void;
  readonly say?: (line: string) => void;
  /** How often it is said that it goes on, milliseconds. */
  readonly sayEveryMs?: number;
}): Promise<string>;
