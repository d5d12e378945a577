// What both rungs' build scripts share: quoting, the limits that a process inherits, the last step before the code, and the files of a run.
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { kernelRelease } from './host.js';
import { INNER_STRANGER, LAUNCHER_TASKS, type Plan } from './launch.js';
import { WORKING_DIRECTORY } from './layout.js';
import type { SandboxLimits, SandboxRequest } from './sandbox.js';

/** Before Linux 5.14 the process limit counts everything a user runs on the machine, not just this namespace; then only the watcher keeps it. */
const PROCESS_LIMIT_PER_NAMESPACE = 5014;
/** V8's threads and arenas claim address space that they never touch. */
const NODE_DATA_SLACK_BYTES = 192 * 1024 * 1024;
const OPEN_FILES = 256;
const STACK_KIB = 8 * 1024;
/** Files and folders on the writable tmpfs: names cost kernel memory that no size limit counts. */
export const INODES = 16_384;

export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A nested user namespace would bring back mounts, and with them memory that nobody counts. */
export const NO_NESTED_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces';

function limitLines(limits: SandboxLimits, program: string): string {
  const slack = basename(program).startsWith('node') ? NODE_DATA_SLACK_BYTES : 0;
  return [
    'ulimit -c 0',
    `ulimit -d ${Math.ceil((limits.memory_bytes + slack) / 1024)}`,
    `ulimit -f ${Math.ceil(limits.disk_bytes / 512)}`,
    `ulimit -n ${OPEN_FILES}`,
    `ulimit -s ${STACK_KIB}`,
    'ulimit -l 64',
    ...(kernelRelease() >= PROCESS_LIMIT_PER_NAMESPACE ? [`ulimit -p ${limits.processes + LAUNCHER_TASKS}`] : []),
  ].join('; ');
}

/** Runs `"$@"` without capabilities, unable to gain any, as the stranger when there is one; this shell stays the parent, out of its reach. */
export function lastStep(plan: Plan): string {
  const id = plan.stranger ? `--reuid ${INNER_STRANGER} --regid ${INNER_STRANGER} --clear-groups ` : '';
  const drop = `setpriv ${id}--inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs`;
  return `cd ${WORKING_DIRECTORY}; umask 022; printf s >&3; ( ${limitLines(plan.request.limits, plan.command[0] ?? '')}; export PATH=${quote(plan.layout.path)}; unset OLDPWD; exec 3>&-; exec ${drop} -- "$@" ); exit $?`;
}

/** Writes the request's files below `<folder>/writable/task`; the build script copies them onto the tmpfs. */
export async function writeFiles(folder: string, request: SandboxRequest): Promise<string> {
  const writable = join(folder, 'writable');
  const root = join(writable, basename(WORKING_DIRECTORY));
  await mkdir(root, { recursive: true });
  const folders = new Set(request.files.map((file) => dirname(join(root, file.path))));
  for (const path of folders) await mkdir(path, { recursive: true });
  await Promise.all(request.files.map((file) => writeFile(join(root, file.path), file.content)));
  return writable;
}

/** Copies the files so that the code may change them, whoever it runs as. */
export const copyFiles = (from: string, to: string): string =>
  `umask 0; cp -r --no-preserve=mode,ownership ${quote(from)}/. ${quote(to)}/; umask 022`;
