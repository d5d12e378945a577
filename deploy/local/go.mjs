// Go that is new enough for a module of today. From 1.21 on, Go fetches by itself the version that a module asks for; an older one (Debian 12 has 1.19) can fetch a
// newer one as a module, from where all modules come: GOPROXY and the checksum database hold for it too.
import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from './failure.mjs';
import { fetched } from './fetch.mjs';
import { programFor } from './programs.mjs';
import { saidBy } from './said.mjs';

const run = promisify(execFile);
const ASK_LIMIT_MS = 20_000;
const DOWNLOAD_LIMIT_MS = 10 * 60_000;
const LEAST_MINOR = 21;
const NEWER = '1.24.13';

/** Modules have no modes. */
const makeRunnable = (folder) => {
  for (const name of readdirSync(folder, { recursive: true })) {
    const file = join(folder, name);
    if (statSync(file).isFile()) chmodSync(file, 0o755);
  }
};

const fetchNewer = async (go, platform, folder, env) => {
  const module = `golang.org/toolchain@v0.0.1-go${NEWER}.${platform}`;
  const modules = join(folder, 'modules');
  const settings = { ...env, GOMODCACHE: modules, GOFLAGS: '-modcacherw' };
  try {
    await run(go, ['mod', 'download', module], { timeout: DOWNLOAD_LIMIT_MS, env: settings, cwd: folder });
  } catch (error) {
    throw failure(
      'go_too_old',
      `${go} is older than Go 1.${LEAST_MINOR}, and could not fetch Go ${NEWER}. It said:\n${saidBy(error)}\n  install a newer one: https://go.dev/dl`,
      error,
    );
  }
  renameSync(join(modules, module), join(folder, 'go'));
  rmSync(modules, { recursive: true, force: true });
  for (const tools of [join('go', 'bin'), join('go', 'pkg', 'tool')]) makeRunnable(join(folder, tools));
};

/**
 * A Go to build modules with, and its environment.
 * @returns {Promise<{ go: string, env: object }>}
 * @throws failure `go_missing`, `go_too_old`
 */
export const goFor = async (cache, why, env = process.env) => {
  const go = programFor('go', why, env);
  const { stdout } = await run(go, ['version'], { timeout: ASK_LIMIT_MS, env });
  const [, minor, os, processor] = /\bgo1\.(\d+)\S* (\w+)\/(\w+)/.exec(stdout) ?? [];
  if (Number(minor) >= LEAST_MINOR) return { go, env };
  const fill = (folder) => fetchNewer(go, `${os}-${processor}`, folder, env);
  const { GOROOT: _, ...others } = env;
  return { go: join(await fetched({ cache, name: `go-${NEWER}`, fill }), 'go', 'bin', 'go'), env: others };
};
