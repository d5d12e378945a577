// Facts about this process and its kernel that a sandbox depends on.
import { readdirSync, readFileSync } from 'node:fs';

const O_CLOEXEC = 0o2000000;

/** Descriptors above stderr that a child would get: inherited ones, and what a native module opened carelessly. */
export function inheritedDescriptors(): readonly number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      if (fd <= 2) return false;
      try {
        const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
        return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
      } catch {
        // The listing's own descriptor is closed by now.
        return false;
      }
    });
}

/** Kernel release as a number to compare: 5.14 -> 5014. */
export const kernelRelease = (): number => {
  const [major = '0', minor = '0'] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.');
  return Number.parseInt(major, 10) * 1000 + Number.parseInt(minor, 10);
};
