// Finding the programs of the machine (java, mvn, redis-server, go, cmake ...) and saying what to install where one is missing.
import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from './failure.mjs';

const run = promisify(execFile);
const ASK_LIMIT_MS = 20_000;
const INSTALL = {
  java: 'apt-get install -y default-jre-headless   (or any Java; JAVA_HOME is looked at first)',
  mvn: 'apt-get install -y maven default-jre-headless',
  'redis-server': 'apt-get install -y redis-server   (on a Mac: brew install redis)',
  tar: 'apt-get install -y tar',
  go: 'apt-get install -y golang-go   (or any Go: https://go.dev/dl)',
  cmake: 'apt-get install -y cmake ninja-build g++',
  ninja: 'apt-get install -y ninja-build',
  'g++': 'apt-get install -y g++',
  python3: 'apt-get install -y python3 python3-pip',
};

/** Of names that are no word. */
const CODE = { 'redis-server': 'redis_server', 'g++': 'cxx' };

const runnable = (file) => {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
};

const onPath = (name, env) =>
  (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(runnable);

/**
 * The full path of a program.
 * @throws failure `<name>_missing` with the line that installs it
 */
export const programFor = (name, why, env = process.env) => {
  const found = onPath(name, env);
  if (found) return found;
  throw failure(
    `${CODE[name] ?? name}_missing`,
    `${name} is not installed (looked along PATH). It is needed ${why}.\n  install it: ${INSTALL[name]}`,
  );
};

/**
 * Java of at least `least` (a major version, 17), from JAVA_HOME or the PATH.
 * @throws failure `java_missing`, `java_too_old`
 */
export const javaFor = async (least, why, env = process.env) => {
  const home = env.JAVA_HOME && join(env.JAVA_HOME, 'bin', 'java');
  const java = home && runnable(home) ? home : programFor('java', why, env);
  const { stderr } = await run(java, ['-version'], { timeout: ASK_LIMIT_MS });
  const major = Number(/version "(?:1\.)?(\d+)/.exec(stderr)?.[1]);
  if (major >= least) return java;
  throw failure('java_too_old', `${java} is Java ${major}, and ${least} or newer is needed ${why}.\n  install it: ${INSTALL.java}`);
};
