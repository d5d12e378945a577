type Environment = Readonly<Record<string, string | undefined>>;

export function copyWithDependencies(
  folder: string,
  artifacts: readonly { readonly group: string; readonly artifact: string; readonly version: string }[],
  env?: Environment,
): Promise<void>;

export function downloadFile(folder: string, file: { readonly path: string; readonly sha256: string }, env?: Environment): Promise<string>;
