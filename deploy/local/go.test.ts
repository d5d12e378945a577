// `go` is a script here that answers as the real one does.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { goFor } from './go.mjs';

let folder: string;
let cache: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dats-go-'));
  cache = join(folder, 'cache');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const withGo = (version: string, download: string) => {
  const script = `#!/bin/sh
case "$1" in
  version) echo "go version ${version} linux/amd64" ;;
  mod) ${download} ;;
esac
`;
  writeFileSync(join(folder, 'go'), script, { mode: 0o755 });
  return { PATH: [folder, process.env['PATH']].join(delimiter), GOROOT: '/usr/lib/go' };
};
/** Puts the module where Go puts it: files that nobody may run. */
const MODULE = `
    place="$GOMODCACHE/$3"; mkdir -p "$place/bin" "$place/pkg/tool/linux_amd64"
    printf '#!/bin/sh\\necho newer "$0"\\n' > "$place/bin/go"; touch "$place/pkg/tool/linux_amd64/compile"; chmod 444 "$place/bin/go"`;

describe('a Go to build with', () => {
  it('is the one of the machine where that fetches what it needs by itself', async () => {
    const env = withGo('go1.21.3', 'exit 1');
    expect(await goFor(cache, 'to try', env)).toEqual({ go: join(folder, 'go'), env });
  });

  it('is fetched as a module by an older one, once, and is not told where that has its library', async () => {
    const env = withGo('go1.19.8', MODULE);
    const { go, env: its } = await goFor(cache, 'to try', env);
    expect(execFileSync(go, { encoding: 'utf8' })).toContain(`newer ${go}`);
    expect(its).toEqual({ PATH: env.PATH });
    expect(readdirSync(cache)).toHaveLength(1);
    expect(await goFor(cache, 'to try', withGo('go1.19.8', 'exit 1'))).toMatchObject({ go });
  });

  it('that can be had neither way is told with what Go said', async () => {
    await expect(goFor(cache, 'to try', withGo('go1.19.8', 'echo "no such host" >&2; exit 1'))).rejects.toMatchObject({
      code: 'go_too_old',
      message: expect.stringMatching(/older than Go 1\.21[\s\S]*no such host[\s\S]*https:\/\/go\.dev\/dl/),
    });
    expect(readdirSync(cache)).toEqual([]);
  });

  it('that is missing is told with what installs it', async () => {
    await expect(goFor(cache, 'to try', { PATH: '' })).rejects.toMatchObject({ code: 'go_missing' });
  });
});
