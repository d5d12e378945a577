// Rung 1: bubblewrap (0.7 or newer) builds the root and is the first process. It runs inside our own user namespace, so that as root too the code is nobody
// outside; the writable tmpfs is ours because bubblewrap's cannot bound the number of files.
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyFiles, INODES, lastStep, NO_NESTED_NAMESPACES, quote, writeFiles } from './build-script.js';
import type { Plan, Rung } from './launch.js';
import { DEVICES, type Layout, WORKING_DIRECTORY, WRITABLE } from './layout.js';

const NAMESPACES = ['--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'];
/** What the last step needs to give everything away. */
const CAPABILITIES = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'];
const LINKS = [
  ['/proc/self/fd', '/dev/fd'],
  ['/proc/self/fd/0', '/dev/stdin'],
  ['/proc/self/fd/1', '/dev/stdout'],
  ['/proc/self/fd/2', '/dev/stderr'],
  [WRITABLE, '/dev/shm'],
];

const ancestors = (path: string): readonly string[] => (dirname(path) === '/' ? [] : [...ancestors(dirname(path)), dirname(path)]);

/** Folders on the way to what is shown: bubblewrap would make them readable by its own id only. */
const foldersOf = (layout: Layout): readonly string[] => [...new Set(['/dev', '/etc', ...layout.shows.flatMap((s) => ancestors(s.path))])];

function arguments_(plan: Plan, passwd: string, group: string): readonly string[] {
  const { layout } = plan;
  return [
    ...NAMESPACES,
    '--die-with-parent',
    // Our shell is the first process and keeps a capability, so code of the same id cannot trace it; bubblewrap's own first process could be taken over.
    '--as-pid-1',
    '--cap-drop',
    'ALL',
    ...CAPABILITIES.flatMap((name) => ['--cap-add', name]),
    ...foldersOf(layout).flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...layout.shows.flatMap((s) => ['--ro-bind', s.path, s.path]),
    ...layout.covers.flatMap((path) => ['--tmpfs', path, '--remount-ro', path]),
    ...layout.symlinks.flatMap((s) => ['--symlink', s.target, s.path]),
    '--ro-bind',
    passwd,
    '/etc/passwd',
    '--ro-bind',
    group,
    '/etc/group',
    '--proc',
    '/proc',
    ...DEVICES.flatMap((name) => ['--dev-bind', `/dev/${name}`, `/dev/${name}`]),
    ...LINKS.flatMap(([target = '', path = '']) => ['--symlink', target, path]),
    '--bind',
    layout.mountPoint,
    WRITABLE,
    '--chdir',
    WORKING_DIRECTORY,
    '--remount-ro',
    '/',
  ];
}

async function prepare(plan: Plan): Promise<string> {
  const { folder, layout, request } = plan;
  const passwd = join(folder, 'passwd');
  const group = join(folder, 'group');
  const [writable] = await Promise.all([writeFiles(folder, request), writeFile(passwd, layout.passwd), writeFile(group, layout.group)]);
  return [
    'set -e',
    NO_NESTED_NAMESPACES,
    `mount -n -t tmpfs -o nosuid,nodev,size=${request.limits.disk_bytes},nr_inodes=${INODES},mode=1777 writable ${quote(layout.mountPoint)}`,
    copyFiles(writable, layout.mountPoint),
    `exec bwrap ${arguments_(plan, passwd, group).map(quote).join(' ')} -- /bin/sh -c ${quote(lastStep(plan))} sandbox "$@"`,
  ].join('\n');
}

export const bubblewrapRung: Rung = { name: 'bubblewrap', namespaces: [], prepare };
