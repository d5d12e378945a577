// Words over unix sockets: the contract, and what only several processes can do.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { broadcastContract, listenTo, sayAll, words } from '../broadcast.contract.js';
import type { Broadcast } from '../index.js';
import { Collector } from '../testing/log-driver.js';
import { UNREAD_BYTES } from './broadcast.js';
import { openLmdbBroadcast } from './index.js';

broadcastContract('unix sockets', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-words-'));
  return { open: () => openLmdbBroadcast({ dir }), dispose: () => rm(dir, { recursive: true }) };
});

let dir: string;
let opened: Broadcast[];
const open = async (folder = dir): Promise<Broadcast> => {
  const broadcast = await openLmdbBroadcast({ dir: folder });
  opened.push(broadcast);
  return broadcast;
};
const sockets = (): Promise<string[]> => readdir(join(dir, 'words'));
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dats-words-'));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((broadcast) => broadcast.close()));
  await rm(dir, { recursive: true });
});
const has = (message: string) => (heard: readonly string[]) => heard.includes(message);

describe('processes on one directory', () => {
  const SOURCES = fileURLToPath(new URL('../..', import.meta.url));
  /** Hears all on `channel`, says there what it reads line by line. Prints how long each word was and how it began. */
  const TALKS = `
    const broadcast = await openLmdbBroadcast({ dir: process.argv[1] });
    broadcast.subscribe('channel', (message) => console.log('heard', message.length, message.slice(0, 20)));
    console.log('ready');
    for await (const line of (await import('node:readline')).createInterface({ input: process.stdin })) await broadcast.publish('channel', line);
  `;
  let built: string;
  let running: ChildProcess[];
  beforeAll(() => {
    built = mkdtempSync(join(tmpdir(), 'dats-built-'));
    const compiler = join(SOURCES, 'node_modules/typescript/bin/tsc');
    const options = '--ignoreConfig --noCheck --target ES2023 --module NodeNext --types node --rootDir . --outDir'.split(' ');
    execFileSync(process.execPath, [compiler, ...options, built, 'streams/lmdb/broadcast.ts'], { cwd: SOURCES });
  }, 60_000);
  afterAll(() => rm(built, { recursive: true }));
  beforeEach(() => {
    running = [];
  });
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
  });

  const start = (program: string) => {
    const module = pathToFileURL(join(built, 'streams/lmdb/broadcast.js')).href;
    const opening = `const { openLmdbBroadcast } = await import(${JSON.stringify(module)});`;
    const options = ['--input-type=module', '--eval', `${opening}${program}`, dir];
    const child = spawn(process.execPath, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    running.push(child);
    const lines = new Collector<string>();
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    const ended = once(child, 'exit');
    return {
      lines,
      ended,
      say: (message: string) => child.stdin.write(`${message}\n`),
      signal: (name: 'SIGSTOP' | 'SIGCONT') => child.kill(name),
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
      },
    };
  };

  it('one that is killed is forgotten, and another that takes its place hears and is heard', async () => {
    const here = await open();
    const heard = listenTo(here, 'channel');
    for (let i = 0; i < 3; i++) {
      const child = start(TALKS);
      await child.lines.until(has('ready'));
      child.say(`from child ${i}`);
      await heard.until(has(`from child ${i}`));
      await here.publish('channel', `to ${i}`);
      await child.lines.until(has(`heard 4 to ${i}`));
      await child.kill();
      await sayAll(here, 'channel', words('to nobody', 100));
      await expect.poll(sockets, { timeout: 10_000 }).toHaveLength(1);
      expect(child.lines.items).toEqual(['ready', `heard 4 to ${i}`]);
    }
    expect(heard.items).toEqual(['from child 0', 'from child 1', 'from child 2']);
  });

  it('one that is stopped holds up nobody, loses what is too much for it, and hears again when it goes on', async () => {
    const [here, there, child] = [await open(), await open(), start(TALKS)];
    const heard = listenTo(there, 'channel');
    await child.lines.until(has('ready'));
    child.signal('SIGSTOP');
    const megabyte = 'x'.repeat(1024 * 1024);
    const count = 2 * Math.ceil(UNREAD_BYTES / megabyte.length);
    const began = performance.now();
    for (let i = 0; i < count; i++) {
      await here.publish('channel', `${i} ${megabyte}`);
      await heard.until((items) => items.length > i);
    }
    expect(performance.now() - began).toBeLessThan(10_000);
    const opening = performance.now();
    const late = await open();
    const heardLate = listenTo(late, 'channel');
    expect(performance.now() - opening).toBeLessThan(5_000);
    await here.publish('channel', 'to all who can hear');
    await heardLate.until(has('to all who can hear'));
    await late.publish('channel', 'from one that came meanwhile');
    child.signal('SIGCONT');
    await child.lines.until(has('heard 28 from one that came m'));
    const numbers = () => child.lines.items.flatMap((line) => (line.includes('xxx') ? [Number(line.split(' ')[2])] : []));
    // The connection drains while it reads; from then on it hears all again.
    await expect
      .poll(
        async () => {
          await here.publish('channel', 'again');
          return child.lines.items.includes('heard 5 again');
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    const kept = numbers();
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => i));
    expect(kept.length * megabyte.length).toBeGreaterThan(UNREAD_BYTES - megabyte.length);
    expect(kept.length * megabyte.length).toBeLessThan(UNREAD_BYTES + 4 * megabyte.length);
  });

  it('what three processes say by turns is heard in that order, while a fourth talks all the time', async () => {
    const [here, turns] = [await open(), 1_500];
    const heard: number[] = [];
    const all = new Collector<string>();
    here.subscribe('channel', (message) => {
      heard.push(Number(message));
      if (heard.length === turns) all.push('done');
    });
    here.subscribe('noise', () => undefined);
    const takesTurns = (own: number) =>
      start(`
        const broadcast = await openLmdbBroadcast({ dir: process.argv[1] });
        broadcast.subscribe('turn', async (turn) => {
          if (turn % 3 !== ${own} || turn >= ${turns}) return;
          await broadcast.publish('channel', turn);
          await broadcast.publish('turn', String(Number(turn) + 1));
        });
        console.log('ready');
        for await (const _ of process.stdin);
      `);
    const children = [0, 1, 2].map(takesTurns);
    const talks = start(`
      const broadcast = await openLmdbBroadcast({ dir: process.argv[1] });
      console.log('ready');
      for (;;) {
        await broadcast.publish('noise', 'x'.repeat(1_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
    `);
    for (const child of [...children, talks]) await child.lines.until(has('ready'));
    await here.publish('turn', '0');
    await all.until(has('done'));
    expect(heard).toEqual(Array.from({ length: turns }, (_, turn) => turn));
  });

  it('words keep no process alive', async () => {
    await open();
    const child = start(`
      const broadcast = await openLmdbBroadcast({ dir: process.argv[1] });
      broadcast.subscribe('channel', () => undefined);
      await broadcast.publish('channel', 'word');
      console.log('done');
    `);
    expect(await child.ended).toEqual([0, null]);
    expect(child.lines.items).toEqual(['done']);
  });
});

describe('sockets', () => {
  let servers: Server[];
  beforeEach(() => {
    servers = [];
  });
  afterEach(async () => {
    for (const server of servers) await new Promise((resolve) => server.close(resolve));
  });
  /** One that is no process of ours, but has a socket where they have theirs. */
  const stranger = async (name: string, greet: (socket: Socket) => void): Promise<void> => {
    const server = createServer(greet);
    servers.push(server);
    server.listen(join(dir, 'words', `${name}.sock`));
    await once(server, 'listening');
  };
  const callHere = async (): Promise<Socket> => {
    const socket = connect(join(dir, 'words', (await sockets())[0]!));
    socket.resume();
    return socket.on('error', () => socket.destroy());
  };

  it('are gone with their processes, and of one that was killed with the next who calls it', async () => {
    const [one] = [await open(), await open()];
    expect(await sockets()).toHaveLength(2);
    await one.close();
    expect(await sockets()).toHaveLength(1);
    await writeFile(join(dir, 'words', 'aaaaaaaaaaaa.sock'), '');
    await open();
    expect(await sockets()).toHaveLength(2);
  });

  it.each([
    ['a path that is too long for them is no obstacle', () => join(dir, 'a-long-name-'.repeat(10)), ['word']],
    ['where there can be none a process is alone, and nothing fails', () => join(dir, 'file'), []],
  ])('%s', async (_, folder, expected) => {
    await writeFile(join(dir, 'file'), '');
    const [here, there] = [await open(folder()), await open(folder())];
    const heard = listenTo(there, 'channel');
    await here.publish('channel', 'word');
    await heard.until((items) => items.length >= expected.length);
    expect(heard.items).toEqual(expected);
  });

  it('whoever says no name is cut off, and so is who does not come to an end; words that nobody understands are passed over', async () => {
    const here = await open();
    const heard = listenTo(here, 'channel');
    for (const nonsense of ['nonsense\n', '["channel"]\n', '\n', 'x'.repeat(UNREAD_BYTES + 1)]) {
      const socket = await callHere();
      socket.write(nonsense);
      await once(socket, 'close');
    }
    const socket = await callHere();
    socket.write('"../../etc/passwd"\n{"later":"version"}\n[1,"channel",2]\n[null,"channel","a"]\nnonsense\n[1,"channel","word"]\n');
    await heard.until((items) => items.length > 0);
    expect(heard.items).toEqual(['word']);
    socket.destroy();
  });

  it('a connection that breaks is made again, as long as the other one is there', async () => {
    const first = await open();
    const calls = new Collector<string>();
    await stranger('bbbbbbbbbbbb', (socket) => {
      socket.once('data', (hello) => {
        calls.push(String(hello));
        socket.destroy();
      });
    });
    await first.close();
    const here = await open();
    await calls.until((items) => items.length === 3);
    await here.publish('channel', 'word');
    expect(new Set(calls.items).size).toBe(1);
  });

  it('one that talks without end and says nothing holds up nobody for long', async () => {
    const [here, there] = [await open(), await open()];
    const heard = listenTo(here, 'channel');
    await there.publish('channel', 'before');
    await heard.until(has('before'));
    const talking = await Promise.all((await sockets()).map((name) => connect(join(dir, 'words', name)).on('error', () => undefined)));
    let isTalking = true;
    for (const socket of talking) socket.write('null\n[');
    const talk = (): void => {
      for (const socket of talking) socket.write('1');
      if (isTalking) setImmediate(talk);
    };
    talk();
    await there.publish('channel', 'word');
    await heard.until(has('word'));
    isTalking = false;
    for (const socket of talking) socket.destroy();
  });
});
