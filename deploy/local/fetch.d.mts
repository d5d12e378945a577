export function fetched(wanted: {
  readonly cache: string;
  readonly name: string;
  readonly fill: (folder: string) => Promise<void>;
}): Promise<string>;
