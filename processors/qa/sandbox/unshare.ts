// Rung 2: namespaces with the tools of util-linux alone (unshare, mount, pivot_root, setpriv). Builds on a tmpfs the same root as bubblewrap.ts.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyFiles, INODES, lastStep, NO_NESTED_NAMESPACES, quote, writeFiles } from './build-script.js';
import type { Plan, Rung } from './launch.js';
import { DEVICES, type Layout, WRITABLE } from './layout.js';

/** fstab writes blanks and backslashes as octal. */
const field = (text: string): string => text.replace(/[\s\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
const below = (root: string, path: string): string => join(root, path.slice(1));

/** The empty tree that everything is mounted on: folders, empty files, symlinks, our own passwd. Synchronous: forty tiny calls, under a millisecond. */
function writeSkeleton(root: string, layout: Layout): void {
  const folders = ['/proc', '/dev', '/etc', WRITABLE, '/.old', ...layout.shows.map((s) => (s.isFile ? dirname(s.path) : s.path))];
  for (const path of new Set(folders)) mkdirSync(below(root, path), { recursive: true });
  const files = [...DEVICES.map((name) => `/dev/${name}`), ...layout.shows.filter((s) => s.isFile).map((s) => s.path)];
  for (const path of files) writeFileSync(below(root, path), '');
  writeFileSync(below(root, '/etc/passwd'), layout.passwd);
  writeFileSync(below(root, '/etc/group'), layout.group);
  const links = [
    ...layout.symlinks,
    { path: '/dev/fd', target: '/proc/self/fd' },
    { path: '/dev/stdin', target: '/proc/self/fd/0' },
    { path: '/dev/stdout', target: '/proc/self/fd/1' },
    { path: '/dev/stderr', target: '/proc/self/fd/2' },
    { path: '/dev/shm', target: WRITABLE },
  ];
  for (const link of links) symlinkSync(link.target, below(root, link.path));
}

/** One `mount --all` does all of it: a process each would cost more than the rest of the run. */
function mountTable(layout: Layout, diskBytes: number): string {
  const at = (path: string) => field(below(layout.mountPoint, path));
  return [
    ...layout.shows.map((s) => `${field(s.path)} ${at(s.path)} none rbind,ro,nosuid,nodev 0 0`),
    ...layout.covers.map((path) => `cover ${at(path)} tmpfs ro,nosuid,nodev,noexec,size=4k,mode=555 0 0`),
    ...DEVICES.map((name) => `/dev/${name} ${at(`/dev/${name}`)} none bind 0 0`),
    `proc ${at('/proc')} proc ro,nosuid,nodev,noexec 0 0`,
    `writable ${at(WRITABLE)} tmpfs nosuid,nodev,size=${diskBytes},nr_inodes=${INODES},mode=1777 0 0`,
    '',
  ].join('\n');
}

async function prepare(plan: Plan): Promise<string> {
  const { folder, layout, request } = plan;
  const skeleton = join(folder, 'root');
  const table = join(folder, 'mounts');
  writeSkeleton(skeleton, layout);
  const [writable] = await Promise.all([writeFiles(folder, request), writeFile(table, mountTable(layout, request.limits.disk_bytes))]);
  const submounts = layout.shows.flatMap((s) => s.submounts);
  return [
    'set -e',
    NO_NESTED_NAMESPACES,
    'for key in shmall shmmax msgmnb; do echo 0 > /proc/sys/kernel/$key; done 2>/dev/null || :',
    `mount -n -t tmpfs -o size=2m,nr_inodes=4k,mode=755,nosuid,nodev sandbox ${quote(layout.mountPoint)}`,
    `cp -r --no-dereference ${quote(skeleton)}/. ${quote(layout.mountPoint)}/`,
    `mount -n -a -T ${quote(table)}`,
    ...submounts.map((path) => `mount -n -o remount,bind,ro,nosuid,nodev ${quote(below(layout.mountPoint, path))}`),
    copyFiles(writable, below(layout.mountPoint, WRITABLE)),
    `cd ${quote(layout.mountPoint)}`,
    'pivot_root . .old',
    'umount -n -l /.old',
    'mount -n -o remount,bind,ro /',
    lastStep(plan),
  ].join('\n');
}

export const unshareRung: Rung = {
  name: 'unshare',
  namespaces: ['--net', '--ipc', '--uts', '--cgroup', '--pid', '--fork', '--kill-child'],
  prepare,
};
