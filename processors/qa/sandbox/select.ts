// Which rung: the best one that really runs something here. It is tried once, at the start, with a real run.
import { existsSync, readFileSync } from 'node:fs';
import { Fault, isFault, timeoutSignal } from '../../../schemas/index.js';
import { bubblewrapRung } from './bubblewrap.js';
import { launch, type Rung, removeLeftovers } from './launch.js';
import { type Layout, planLayout } from './layout.js';
import { refusingSandbox } from './refusing.js';
import type { Sandbox, SandboxRequest } from './sandbox.js';
import { findToolchain, type Toolchain } from './toolchain.js';
import { unshareRung } from './unshare.js';

const MIB = 1024 * 1024;
const PROBE: SandboxRequest = {
  command: ['node', '--version'],
  files: [{ path: 'probe.txt', content: 'probe' }],
  limits: { timeout_ms: 10_000, memory_bytes: 256 * MIB, processes: 64, output_bytes: 4_096, disk_bytes: MIB },
};

export interface SandboxOptions {
  readonly rung: 'auto' | 'bubblewrap' | 'unshare' | 'none';
  /** Data directories: never visible inside, wherever they lie. */
  readonly hidden: readonly string[];
  /** The environment to find interpreters with; nothing of it reaches the code. */
  readonly env: NodeJS.ProcessEnv;
}

const sysctl = (name: string): string | undefined => {
  const path = `/proc/sys/${name.replaceAll('.', '/')}`;
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
};

/** Why user namespaces may be blocked here, as something to do about it. */
function advice(): readonly string[] {
  const found: string[] = [];
  if (process.platform !== 'linux') return ['It needs Linux: run this node in a Linux machine or virtual machine.'];
  if (sysctl('kernel.unprivileged_userns_clone') === '0')
    found.push('User namespaces are switched off: sysctl -w kernel.unprivileged_userns_clone=1.');
  if (sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1')
    found.push(
      'AppArmor restricts user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give the program a profile that allows userns.',
    );
  if (sysctl('user.max_user_namespaces') === '0') found.push('No user namespace may be created: sysctl -w user.max_user_namespaces=15000.');
  if (existsSync('/.dockerenv') || existsSync('/run/.containerenv'))
    found.push(
      'This is a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined.',
    );
  found.push('Install the tools: apt-get install bubblewrap util-linux.');
  return found;
}

async function tryRung(rung: Rung, toolchain: Toolchain, layout: Layout): Promise<string | undefined> {
  try {
    const result = await launch(rung, toolchain, layout, PROBE, timeoutSignal(30_000));
    return result.code === 0 && result.stdout.trim() === process.version
      ? undefined
      : result.stderr.trim().split('\n').at(-1) || `exit ${result.code}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Probes the rungs once and gives the sandbox to use. Never throws for a machine that cannot: then the sandbox refuses every run and says what to install.
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  if (options.rung === 'none')
    return refusingSandbox('Running generated code is switched off (sandbox.rung is none): set it to auto to run tests.');
  try {
    if (process.platform !== 'linux') throw new Fault('terminal', 'sandbox_unavailable', 'there are no Linux namespaces here.');
    await removeLeftovers();
    const toolchain = await findToolchain(options.env);
    const layout = planLayout(toolchain, options.hidden);
    const failures: string[] = [];
    for (const rung of [bubblewrapRung, unshareRung]) {
      if (options.rung !== 'auto' && options.rung !== rung.name) continue;
      const failure = await tryRung(rung, toolchain, layout);
      if (failure === undefined) return { rung: rung.name, run: (request, signal) => launch(rung, toolchain, layout, request, signal) };
      failures.push(`${rung.name}: ${failure}`);
    }
    return refusingSandbox(
      `Generated code cannot be run safely on this node, so it is not run. ${failures.join('; ')}. ${advice().join(' ')}`,
    );
  } catch (error) {
    if (!isFault(error)) throw error;
    return refusingSandbox(`Generated code cannot be run safely on this node, so it is not run: ${error.message} ${advice().join(' ')}`);
  }
}
