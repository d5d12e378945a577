// Two ways to what Maven Central has: a program with all its libraries (through mvn), and one file (through HTTPS, checked by its digest).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { failure } from './failure.mjs';
import { programFor } from './programs.mjs';
import { saidBy } from './said.mjs';

const run = promisify(execFile);
const DOWNLOAD_LIMIT_MS = 10 * 60_000;
const CENTRAL = 'https://repo.maven.apache.org/maven2';
/** One version, so that a year from now the same command does the same. */
const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

const dependency = ({ group, artifact, version }) =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;

const pomOf = (artifacts) =>
  `<project><modelVersion>4.0.0</modelVersion><groupId>dats</groupId><artifactId>servers</artifactId><version>1</version>
<dependencies>
${artifacts.map(dependency).join('\n')}
</dependencies></project>
`;

/**
 * Copies `artifacts` and everything that they need to run into `<folder>/lib`. Mirrors and proxies of ~/.m2/settings.xml are used.
 * @throws failure `mvn_missing`, `download_failed`
 */
export const copyWithDependencies = async (folder, artifacts, env = process.env) => {
  const what = artifacts.map(({ artifact, version }) => `${artifact} ${version}`).join(', ');
  const mvn = programFor('mvn', `to download ${what} from Maven Central (once)`, env);
  const pom = join(folder, 'pom.xml');
  writeFileSync(pom, pomOf(artifacts));
  const args = [
    '-q',
    '-B',
    '-ntp',
    '-C',
    '-f',
    pom,
    COPY_DEPENDENCIES,
    '-DincludeScope=runtime',
    `-DoutputDirectory=${join(folder, 'lib')}`,
  ];
  try {
    await run(mvn, args, { timeout: DOWNLOAD_LIMIT_MS, env, cwd: folder });
  } catch (error) {
    const message = `Maven could not download ${what}. It said:\n${saidBy(error)}\n  next: check the network, and ~/.m2/settings.xml if you use a mirror; then run it again.`;
    throw failure('download_failed', message, error);
  }
};

/**
 * Downloads one file of the repository (`path` below its root) into `folder`. `DATS_SERVERS_MAVEN_URL` names a mirror.
 * @returns {Promise<string>} the file
 * @throws failure `download_failed`, also when its content is not what it was when its SHA-256 was written down
 */
export const downloadFile = async (folder, { path, sha256 }, env = process.env) => {
  const url = `${env.DATS_SERVERS_MAVEN_URL || CENTRAL}/${path}`;
  const file = join(folder, basename(path));
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform: (chunk, _encoding, done) => {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_LIMIT_MS) });
    if (!answer.ok || answer.body === null) throw new Error(`HTTP status ${answer.status}`);
    await pipeline(Readable.fromWeb(answer.body), hashing, createWriteStream(file));
  } catch (error) {
    const why = [error.message, error.cause?.message].filter(Boolean).join(': ');
    throw failure(
      'download_failed',
      `${url} could not be downloaded (${why}).\n  next: check the network; DATS_SERVERS_MAVEN_URL names another Maven repository.`,
      error,
    );
  }
  const found = hash.digest('hex');
  if (found === sha256) return file;
  throw failure(
    'download_failed',
    `${url} is not the file that was expected: its SHA-256 is ${found}, not ${sha256}.\n  next: do not use it; ask whoever runs that repository.`,
  );
};

/**
 * @param {string} archive a .tar.gz
 * @param {{ env?: object, parts?: readonly string[], strip?: number }} [options] `parts`: only these paths of it; `strip`: so many folders less
 * @throws failure `tar_missing`
 */
export const unpack = async (archive, folder, { env = process.env, parts = [], strip = 0 } = {}) => {
  const tar = programFor('tar', `to unpack ${basename(archive)}`, env);
  await run(tar, ['-xzf', archive, '-C', folder, `--strip-components=${strip}`, ...parts], { timeout: DOWNLOAD_LIMIT_MS, env });
};
