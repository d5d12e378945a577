// The root that generated code sees, as data: what is shown, where, and what the environment says. Both rungs build the same root from it.
//
// L1. Shown is only what is listed here; everything else of the machine does not exist inside. L2. All of it is read-only but /tmp.
// L3. A hidden directory that lies below a shown one is covered by an empty directory.
import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { Fault } from '../../../schemas/index.js';
import { isBelow, type Toolchain } from './toolchain.js';

/** The one writable place, and the working directory in it. One tmpfs, so one limit holds for both. */
export const WRITABLE = '/tmp';
export const WORKING_DIRECTORY = '/tmp/task';

const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
const SYSTEM_FILES = ['/etc/ld.so.cache', '/etc/alternatives', '/etc/localtime'];
export const DEVICES = ['null', 'zero', 'full', 'random', 'urandom'];
/** Where the new root is put together; the host's directory is only covered in the sandbox's own mount namespace. */
const MOUNT_POINTS = ['/mnt', '/media', '/srv', '/opt', '/tmp'];

export interface Layout {
  /** Existing directory that the new root (or the writable tmpfs) is mounted on. */
  readonly mountPoint: string;
  /** Shown read-only at the same path. `submounts` are the mounts below it, which need a read-only remount of their own. */
  readonly shows: readonly { readonly path: string; readonly isFile: boolean; readonly submounts: readonly string[] }[];
  readonly symlinks: readonly { readonly path: string; readonly target: string }[];
  /** Covered by an empty directory. */
  readonly covers: readonly string[];
  readonly passwd: string;
  readonly group: string;
  readonly path: string;
}

const octal = (text: string): string => text.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

const mountPointsOf = (mountinfo: string): readonly string[] =>
  mountinfo.split('\n').flatMap((line) => {
    const point = line.split(' ')[4];
    return point === undefined ? [] : [octal(point)];
  });

/** @throws Fault terminal `sandbox_unavailable` when a hidden directory is an interpreter's own, or nothing can be mounted on. */
export function planLayout(toolchain: Toolchain, hidden: readonly string[]): Layout {
  const programs = [...(toolchain.python ? [toolchain.python] : []), toolchain.node];
  const symlinks = SYSTEM.filter((path) => existsSync(path) && lstatSync(path).isSymbolicLink()).map((path) => ({
    path,
    target: readlinkSync(path),
  }));
  const linked = new Set(symlinks.map((s) => s.path));
  const wanted = [
    ...SYSTEM.filter((path) => existsSync(path) && !linked.has(path)),
    ...SYSTEM_FILES.filter((path) => existsSync(path)),
    ...programs.flatMap((p) => p.shows),
  ];
  const paths = [...new Set(wanted)];
  const secret = hidden.map((path) => (existsSync(path) ? realpathSync(path) : path));
  const inside = paths.find((path) => secret.some((s) => isBelow(path, s)));
  if (inside !== undefined) {
    throw new Fault(
      'terminal',
      'sandbox_unavailable',
      'An interpreter lies inside a directory that must stay hidden; install python3 and node outside the data directory.',
    );
  }
  const mounts = mountPointsOf(readFileSync('/proc/self/mountinfo', 'utf8'));
  const mountPoint = MOUNT_POINTS.find((point) => existsSync(point) && ![...paths, tmpdir()].some((path) => isBelow(path, point)));
  if (mountPoint === undefined)
    throw new Fault('terminal', 'sandbox_unavailable', `None of ${MOUNT_POINTS.join(', ')} can be used to build a root on: create /mnt.`);
  return {
    mountPoint,
    shows: paths.map((path) => ({
      path,
      isFile: !lstatSync(realpathSync(path)).isDirectory(),
      submounts: mounts.filter((m) => m !== path && isBelow(m, path)),
    })),
    symlinks,
    covers: secret.filter((s) => existsSync(s) && paths.some((path) => isBelow(s, path))),
    passwd: 'root:x:0:0::/tmp:/bin/sh\ntask:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n',
    group: 'root:x:0:\ntask:x:1000:\nnogroup:x:65534:\n',
    path: [...new Set([...programs.map((p) => dirname(p.executable)), '/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'])].join(
      ':',
    ),
  };
}
