// The escape suite: what every rung has to withstand, with real Python and real Node code. Each test names what the code tries; the canary outside
// must come out unharmed and unread. Numbers cite sandbox.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageBelow } from './process-tree.js';
import type { Sandbox, SandboxLimits, SandboxRequest, SandboxResult } from './sandbox.js';

const MIB = 1024 * 1024;
const LIMITS: SandboxLimits = { timeout_ms: 10_000, memory_bytes: 256 * MIB, processes: 32, output_bytes: 16 * 1024, disk_bytes: 8 * MIB };
const SECRET = 'canary-4f1c9b';

export interface SandboxUnderTest {
  readonly sandbox: Sandbox;
}

/** @param open gives the rung, with `hidden` as its data directory; the environment of this process holds the canary DATS_CANARY. */
export function sandboxContract(name: string, open: (hidden: string) => Promise<Sandbox>): void {
  describe(`${name} withstands`, () => {
    let sandbox: Sandbox;
    let hidden: string;
    let homeFile: string;
    let server: Server;
    let port: number;
    let abstract: Server;
    let victim: ChildProcess;
    let connections = 0;
    const abstractName = `dats-canary-${process.pid}`;

    beforeAll(async () => {
      process.env.DATS_CANARY = SECRET;
      hidden = mkdtempSync(join(tmpdir(), 'dats-hidden-'));
      writeFileSync(join(hidden, 'data.mdb'), SECRET);
      homeFile = join(homedir(), `.dats-canary-${process.pid}`);
      writeFileSync(homeFile, SECRET);
      server = createServer((socket) => {
        connections++;
        socket.end(SECRET);
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      port = typeof address === 'object' && address ? address.port : 0;
      abstract = createServer((socket) => {
        connections++;
        socket.end(SECRET);
      }).listen(`\0${abstractName}`);
      await once(abstract, 'listening');
      victim = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', SECRET], { stdio: 'ignore' });
      await once(victim, 'spawn');
      sandbox = await open(hidden);
    }, 60_000);

    afterAll(() => {
      delete process.env.DATS_CANARY;
      victim.kill('SIGKILL');
      server.close();
      abstract.close();
      rmSync(hidden, { recursive: true, force: true });
      rmSync(homeFile, { force: true });
    });

    const run = (
      command: readonly string[],
      more: Partial<SandboxRequest> & { limits?: Partial<SandboxLimits> } = {},
    ): Promise<SandboxResult> =>
      sandbox.run({ files: [], ...more, command, limits: { ...LIMITS, ...more.limits } }, AbortSignal.timeout(60_000));
    const python = (code: string, limits: Partial<SandboxLimits> = {}) =>
      run(['python3', 'main.py'], { files: [{ path: 'main.py', content: code }], limits: { ...LIMITS, ...limits } });
    const node = (code: string, limits: Partial<SandboxLimits> = {}) =>
      run(['node', 'main.mjs'], { files: [{ path: 'main.mjs', content: code }], limits: { ...LIMITS, ...limits } });
    /** Evaluates Python expressions each on its own; what one raises is its answer. */
    const tries = async (expressions: readonly string[], setup = ''): Promise<readonly string[]> => {
      const lines = expressions.map((e) => `attempt(lambda: ${e})`);
      const result = await python(
        `import os, socket, ctypes, signal, subprocess, glob, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n${setup}\n` +
          `def attempt(f):\n    try:\n        print('DONE', repr(f())[:300])\n    except BaseException as e:\n        print('REFUSED', type(e).__name__)\n${lines.join('\n')}\n`,
      );
      expect(result, result.stderr).toMatchObject({ code: 0, limit: null });
      return result.stdout.trim().split('\n');
    };
    /** A raw system call; -1 becomes an exception so that `tries` sees the refusal. */
    const CALL = 'def call(f, *a):\n    r = f(*a)\n    if r == -1: raise OSError(ctypes.get_errno())\n    return r\n';

    it('nothing: ordinary code runs, with files, arguments, input, environment and exit code', async () => {
      const result = await run(['python3', 'pkg/main.py', 'an arg'], {
        files: [
          {
            path: 'pkg/main.py',
            content:
              "import sys, os\nfrom other import value\nprint(value, sys.argv[1], sys.stdin.read(), os.environ['GIVEN'], os.getcwd())\nopen('made.txt','w').write('x')\nsys.exit(3)",
          },
          { path: 'pkg/other.py', content: "value = 'ü'" },
        ],
        stdin: 'input',
        env: { GIVEN: 'given' },
      });
      expect(result).toMatchObject({
        code: 3,
        signal: null,
        limit: null,
        stdout: 'ü an arg input given /tmp/task\n',
        stderr: '',
        truncated: false,
      });
      expect(
        await node("import { readFileSync, writeFileSync } from 'node:fs'; writeFileSync('a','b'); console.log(readFileSync('a','utf8'))"),
      ).toMatchObject({ code: 0, stdout: 'b\n' });
    });

    it('reading files of the machine, of homes and of the data directory (S3)', async () => {
      const paths = [
        '/etc/shadow',
        '/etc/ssh',
        '/etc/machine-id',
        '/var',
        '/home',
        '/boot',
        '/sys',
        '/run',
        homeFile,
        hidden,
        join(hidden, 'data.mdb'),
        process.cwd(),
        '/proc/1/environ',
        '/proc/kcore',
        '/dev/mem',
        '/dev/kmsg',
      ];
      const answers = await tries(
        paths.map(
          (p) => `os.listdir(${JSON.stringify(p)}) if os.path.isdir(${JSON.stringify(p)}) else open(${JSON.stringify(p)}, 'rb').read(64)`,
        ),
      );
      expect(answers.map((a) => a.split(' ')[0])).toEqual(paths.map(() => 'REFUSED'));
      const found = await node(
        `import { readdirSync, readFileSync } from 'node:fs'; for (const p of ${JSON.stringify([homeFile, join(hidden, 'data.mdb'), '/etc/shadow'])}) { try { console.log(readFileSync(p, 'utf8')) } catch (e) { console.log(e.code) } }`,
      );
      expect(found.stdout).toMatch(/^((ENOENT|EACCES)\n){3}$/);
    });

    it('looking for secrets in the environment and in every process it can see (S5, S3)', async () => {
      const result = await python(
        "import os, glob\nprint(sorted(os.environ))\nfor p in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n    try: print(open(p,'rb').read())\n    except OSError as e: print(e.errno)\n",
      );
      expect(result.code).toBe(0);
      expect(result.stdout).not.toContain('canary');
      expect(result.stdout).not.toContain('DATS_');
    });

    it('connecting anywhere: the host over loopback, names, abstract sockets, raw sockets (S1)', async () => {
      const answers = await tries([
        `socket.create_connection(('127.0.0.1', ${port}), 2)`,
        `socket.create_connection(('localhost', ${port}), 2)`,
        "socket.create_connection(('1.1.1.1', 53), 2)",
        "socket.getaddrinfo('example.com', 80)",
        `socket.socket(socket.AF_UNIX).connect('\\0${abstractName}')`,
        'socket.socket(socket.AF_PACKET, socket.SOCK_RAW)',
        'socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)',
      ]);
      expect(answers.map((a) => a.split(' ')[0])).toEqual(Array(7).fill('REFUSED'));
      const tried = await node(
        `import net from 'node:net'; net.connect(${port}, '127.0.0.1').on('error', (e) => console.log(e.code)).on('data', (d) => console.log(String(d)))`,
      );
      expect(tried.stdout).toMatch(/^E(CONNREFUSED|NETUNREACH|ADDRNOTAVAIL)\n$/);
      expect(connections).toBe(0);
    });

    it('writing outside its folder (S2)', async () => {
      const places = [
        '/x',
        '/usr/x',
        '/usr/bin/x',
        '/etc/x',
        '/etc/passwd',
        '/dev/x',
        '/proc/sys/kernel/core_pattern',
        '/proc/sysrq-trigger',
        '/proc/self/oom_score_adj',
        '/root/x',
        '/.old/x',
        join(hidden, 'x'),
        homeFile,
      ];
      const writes = places.filter((p) => p !== '/proc/self/oom_score_adj');
      const answers = await tries([
        ...writes.map((p) => `open(${JSON.stringify(p)}, 'w').write('-1000')`),
        "os.symlink('/', 'out') or open('out/usr/x', 'w')",
        "os.mknod('disk', 0o60666, os.makedev(254, 0))",
        "os.chmod('/usr/bin', 0o777)",
        "os.chroot('.')",
      ]);
      expect(answers.slice(0, writes.length).filter((a) => !a.startsWith('REFUSED'))).toEqual([]);
      expect(answers.slice(-4).map((a) => a.split(' ')[0])).toEqual(Array(4).fill('REFUSED'));
      expect(readFileSync(homeFile, 'utf8')).toBe(SECRET);
    });

    it('leaving anything behind in its folder (S2)', async () => {
      await python("open('/tmp/left.txt','w').write('x'); open('left.txt','w').write('x')");
      const again = await python("import os; print(os.path.exists('/tmp/left.txt'), os.listdir('.'))");
      expect(again.stdout).toBe("False ['main.py']\n");
      expect(
        readdirSync(tmpdir()).filter((n) => n.startsWith(`dats-sandbox-`) && existsSync(join(tmpdir(), n, 'writable', 'task', 'left.txt'))),
      ).toEqual([]);
    });

    it('seeing or killing processes of the machine (S3)', async () => {
      const pid = victim.pid ?? 0;
      const answers = await tries([`os.kill(${pid}, 9)`, `os.kill(${process.pid}, 9)`, `open('/proc/${pid}/cmdline').read()`]);
      expect(answers.filter((a) => a.startsWith('DONE') && a.includes('canary'))).toEqual([]);
      await python('import os, signal\nos.kill(-1, signal.SIGKILL)');
      expect(victim.exitCode).toBeNull();
      expect(victim.signalCode).toBeNull();
    });

    it('ways to more power: ptrace, mount, setns, namespaces, ids, limits, roots of others', async () => {
      const answers = await tries(
        [
          'call(libc.ptrace, 16, 1, 0, 0)',
          "call(libc.mount, b'none', b'/tmp', b'tmpfs', 0, None)",
          "call(libc.mount, b'/', b'/tmp', None, 4096, None)",
          "call(libc.umount2, b'/usr', 2)",
          "call(libc.mount, None, b'/', None, 32 | 4096, None)",
          'call(libc.unshare, 0x10000000)',
          'call(libc.unshare, 0x20000)',
          'call(libc.unshare, 0x40000000)',
          "call(libc.setns, os.open('/proc/1/ns/mnt', 0), 0)",
          "os.listdir('/proc/1/root')",
          "os.readlink('/proc/1/exe')",
          'os.setuid(12345)',
          "call(libc.sethostname, b'x', 1)",
          "[__import__('resource').setrlimit(r, (-1, -1)) for r in (4, 6, 7)]",
          "os.readlink('/proc/1/cwd')",
          "os.open('/proc/self/exe', os.O_WRONLY)",
          'call(libc.open_by_handle_at, 3, ctypes.create_string_buffer(128), 0)',
          "call(libc.syscall, 155, b'.', b'.')",
        ],
        CALL,
      );
      expect(answers.filter((a) => !a.startsWith('REFUSED'))).toEqual([]);
      const status = await python("print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('Cap', 'NoNewPrivs'))])");
      expect(status.stdout).toBe(`[${[...Array(5).fill("'0000000000000000'"), "'1'"].join(', ')}]\n`);
      const setuid = await run(['sh', '-c', 'unshare -Ur true; su -c true; mount -t tmpfs x /tmp; chroot / true; echo end']);
      expect(setuid.stdout).toBe('end\n');
    });

    it('descriptors of the launcher: none but the standard streams point anywhere', async () => {
      const result = await python(
        "import os\nfor fd in sorted(map(int, os.listdir('/proc/self/fd'))):\n    try: print(fd, os.readlink(f'/proc/self/fd/{fd}'))\n    except OSError: pass\n",
      );
      const others = result.stdout
        .trim()
        .split('\n')
        .filter((line) => !/^[012] /.test(line) && !line.endsWith(' /dev/null'));
      expect(others).toEqual([]);
    });

    it.each([
      ['python', 'while True: pass'],
      ['node', 'for (;;) {}'],
    ] as const)('an endless loop in %s', async (language, code) => {
      const result = await (language === 'python' ? python : node)(code, { timeout_ms: 500 });
      expect(result).toMatchObject({ code: null, signal: 'SIGKILL', limit: 'timeout' });
      expect(result.duration_ms).toBeLessThan(5_000);
    });

    it.each([
      ['python, a list that grows', 'import sys\nx = []\nwhile True: x.append(bytearray(100_000))'],
      [
        'python, shared memory',
        "import mmap\nx = []\nwhile True:\n    m = mmap.mmap(-1, 16_000_000); m.write(b'x' * 16_000_000); x.append(m)",
      ],
      ['python, memory files', "import os\nx = []\nwhile True:\n    f = os.memfd_create('x'); os.write(f, b'x' * 4_000_000); x.append(f)"],
      [
        'python, children',
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = b'x' * 60_000_000; time.sleep(60)\ntime.sleep(60)",
      ],
      ['node, buffers', 'const x = []; for (;;) x.push(Buffer.alloc(1_000_000, 1));'],
      ['node, the heap', 'const x = []; for (;;) x.push({ a: [x.length, String(x.length).repeat(50)] });'],
    ])('a memory hog: %s', async (language, code) => {
      const result = await (language.startsWith('python') ? python : node)(code, { memory_bytes: 128 * MIB, timeout_ms: 20_000 });
      expect(result.limit, result.stderr.slice(-500)).toBe('memory');
      expect(result.code).not.toBe(0);
    });

    it.each([
      ['python', 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass'],
      [
        'node',
        "import { spawn } from 'node:child_process'; setInterval(() => { for (let i = 0; i < 20; i++) spawn(process.execPath, ['main.mjs'], { stdio: 'ignore' }).on('error', () => {}); }, 1)",
      ],
      ['python threads', 'import threading, time\nfor _ in range(1000): threading.Thread(target=time.sleep, args=(60,)).start()'],
    ])('a fork bomb in %s', async (language, code) => {
      const result = await (language.startsWith('python') ? python : node)(code, { timeout_ms: 1_500, memory_bytes: 1024 * MIB });
      expect(result.limit, result.stderr.slice(-300)).toBe('processes');
      expect(usageBelow(process.pid, false).pids.length).toBeLessThan(20);
    });

    it.each([
      ['python', "while True: print('x' * 1000)"],
      ['node', "import { writeSync } from 'node:fs'; for (;;) try { writeSync(2, 'x'.repeat(1000)) } catch {}"],
    ] as const)('a flood of output from %s', async (language, code) => {
      const result = await (language === 'python' ? python : node)(code);
      expect(result).toMatchObject({ limit: 'output', truncated: true, code: null });
      expect(Math.max(result.stdout.length, result.stderr.length)).toBe(LIMITS.output_bytes);
    });

    it.each([
      ['many bytes', "import os\nfor i in range(1000): open(f'f{i}','wb').write(b'x' * 1_000_000)"],
      ['one huge file', "f = open('/tmp/big', 'wb')\nwhile True: f.write(b'x' * 1_000_000)"],
      ['many files', "for i in range(10_000_000): open(f'/tmp/e{i}', 'w').close()"],
    ])('filling the disk: %s', async (_, code) => {
      const result = await python(code);
      expect(result.limit, result.stderr).toBe('disk');
      expect(result.code).not.toBe(0);
    });

    it('background processes and zombies: nothing runs on, and the end does not wait for them (S4)', async () => {
      const result = await python(
        "import os, sys, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            while True: time.sleep(60)\n        os._exit(0)\nfor _ in range(5):\n    if os.fork() == 0: os._exit(0)\nprint('parent done'); sys.stdout.flush(); os._exit(0)\n",
      );
      expect(result).toMatchObject({ code: 0, stdout: 'parent done\n' });
      expect(result.duration_ms).toBeLessThan(5_000);
      const left = usageBelow(process.pid, false).pids.filter((pid) => /main\.py/.test(readCommand(pid)));
      expect(left).toEqual([]);
    });

    it('being aborted: the reason is thrown and nothing runs on', async () => {
      const stop = new AbortController();
      const running = sandbox.run({ command: ['sh', '-c', 'sleep 61.5'], files: [], limits: LIMITS }, stop.signal);
      stop.abort(new Error('cancelled by test'));
      await expect(running).rejects.toThrow('cancelled by test');
      expect(usageBelow(process.pid, false).pids.filter((pid) => readCommand(pid).includes('61.5'))).toEqual([]);
    });

    it('a program that is not there', async () => {
      await expect(run(['no-such-program'])).rejects.toMatchObject({ kind: 'terminal', code: 'program_missing' });
    });

    it('several runs at a time, each with its own limits', async () => {
      const results = await Promise.all([1, 2, 3, 4].map((n) => python(`open('/tmp/n','w').write('${n}'); print(open('/tmp/n').read())`)));
      expect(results.map((r) => r.stdout)).toEqual(['1\n', '2\n', '3\n', '4\n']);
    });
  });
}

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
