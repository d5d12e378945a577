export function downloadSdist(
  folder: string,
  wanted: { readonly project: string; readonly version: string; readonly file: string; readonly sha256: string },
  env?: Readonly<Record<string, string | undefined>>,
): Promise<string>;
