// One source archive of PyPI, through pip: index, mirror, proxy, certificates and login are those that the user's pip has.
//
// P1. Nothing of the archive is run. `pip download` asks an archive's own build for its metadata; a backend of ours answers in its place.
// P2. Its content is what it was when its SHA-256 was written down: pip checks it, and so do we.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from './failure.mjs';
import { programFor } from './programs.mjs';
import { saidBy } from './said.mjs';

const run = promisify(execFile);
const ASK_LIMIT_MS = 60_000;
const DOWNLOAD_LIMIT_MS = 10 * 60_000;

const backendFor = ({ project, version }) => `import os

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    name = "${project.replaceAll('-', '_')}-${version}.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as metadata:
        metadata.write("Metadata-Version: 2.1\\nName: ${project}\\nVersion: ${version}\\n")
    return name
`;

const pipFor = async (why, env) => {
  const python = programFor('python3', why, env);
  try {
    await run(python, ['-m', 'pip', '--version'], { timeout: ASK_LIMIT_MS, env });
  } catch (error) {
    throw failure('pip_missing', `${python} has no pip. It is needed ${why}.\n  install it: apt-get install -y python3-pip`, error);
  }
  return python;
};

/**
 * Downloads the source archive of `project` (built by setuptools, as its pyproject.toml says) into `folder`.
 * @param {{ project: string, version: string, file: string, sha256: string }} wanted `file`: the archive's name
 * @returns {Promise<string>} the archive
 * @throws failure `python3_missing`, `pip_missing`, `download_failed`
 */
export const downloadSdist = async (folder, { project, version, file, sha256 }, env = process.env) => {
  const what = `${project} ${version}`;
  const python = await pipFor(`to download ${what} from PyPI (once)`, env);
  const [backend, wanted] = [join(folder, 'backend'), join(folder, 'wanted.txt')];
  mkdirSync(join(backend, 'setuptools'), { recursive: true });
  writeFileSync(join(backend, 'setuptools', '__init__.py'), '');
  writeFileSync(join(backend, 'setuptools', 'build_meta.py'), backendFor({ project, version }));
  writeFileSync(wanted, `${project}==${version} --hash=sha256:${sha256}\n`);
  const words = ['-m', 'pip', 'download', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off', '--no-deps'];
  const args = [...words, '--no-build-isolation', '--no-binary', project, '--require-hashes', '-r', wanted, '-d', folder];
  const path = [backend, env.PYTHONPATH].filter(Boolean).join(delimiter);
  try {
    await run(python, args, { timeout: DOWNLOAD_LIMIT_MS, env: { ...env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' } });
  } catch (error) {
    const message = `pip could not download ${what}. It said:\n${saidBy(error)}\n  next: check the network, and pip's settings (pip config list) if you use a mirror; then run it again.`;
    throw failure('download_failed', message, error);
  }
  rmSync(backend, { recursive: true });
  rmSync(wanted);
  const archive = join(folder, file);
  const found = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (found === sha256) return archive;
  throw failure('download_failed', `${archive} is not the file that was expected: its SHA-256 is ${found}, not ${sha256}.`);
};
