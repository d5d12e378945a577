import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import { Collector, hold } from '../testing/log-driver.js';
import { Claims } from './claims.js';
import { HEARTBEAT_MS, kernelLiveness, LEASE_MS, type LmdbLog, lifeOf, openLmdbLog, type ProcessIdentity, thisProcess } from './index.js';
import { openStore } from './store.js';

const here = thisProcess();
const elsewhere: ProcessIdentity = { ...here, namespace: 'pid:[another container]' };

describe('is a process alive', () => {
  const gone = { ...here, pid: spawnSync('true').pid };
  test.each<[string, ProcessIdentity, string]>([
    ['this one', here, 'alive'],
    ['one whose pid was used again', { ...here, started: '1' }, 'dead'],
    ['one that has ended', gone, 'dead'],
    ['one from before the machine was started', { ...here, boot: 'earlier' }, 'dead'],
    ['one in another container', elsewhere, 'unknown'],
    ['one on a system without /proc', { ...here, started: '' }, 'unknown'],
  ])('%s', (_, process, life) => {
    expect(lifeOf(process, here)).toBe(life);
  });
});

describe('members of other processes', () => {
  let dir: string;
  const opened: LmdbLog[] = [];
  let now = 0;
  const liveness = { ...kernelLiveness(), now: () => now };
  const open = async (self: ProcessIdentity = here): Promise<LmdbLog> => {
    const log = await openLmdbLog({ dir, node: 'node-1', partitions: 2, liveness: { ...liveness, self } });
    opened.push(log);
    return log;
  };
  /** A member that some process left behind, with all partitions. */
  const ghost = async (process: ProcessIdentity): Promise<void> => {
    const store = await openStore(dir, 2);
    const claims = new Claims(store);
    await store.root.transaction(() => {
      claims.writeMember('group', { id: claims.nextMemberId(), node: 'ghost', topics: [LIFECYCLE], process, beat: 3 });
      for (const partition of [0, 1])
        claims.writeClaim(claims.claimKey('group', { topic: LIFECYCLE, partition }), { owner: '000000000001', epoch: 7, committed: 0 });
      claims.raiseVersion('group');
    });
    await store.close();
  };
  const join = async (log: LmdbLog, epochs: Collector<number>) =>
    log.join('group', [LIFECYCLE], async (assignment) => {
      epochs.push(assignment.epoch);
      await hold(assignment);
    });

  beforeEach(() => {
    now = 0;
    dir = mkdtempSync(pathOf(tmpdir(), 'dats-groups-'));
  });
  afterEach(async () => {
    for (const log of opened.splice(0)) await log.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('the partitions of a process that is gone are taken over at once, under a higher epoch', async () => {
    await ghost({ ...here, started: '1' });
    const epochs = new Collector<number>();
    const log = await open();
    await join(log, epochs);
    await epochs.until((items) => items.length === 2);
    expect(epochs.items).toEqual([8, 8]);
  });

  test('a process that nobody can see keeps its partitions until its heartbeat has stood still for the lease', async () => {
    await ghost(elsewhere);
    const epochs = new Collector<number>();
    const looks = new Collector<number>();
    const log = await openLmdbLog({
      dir,
      node: 'node-1',
      partitions: 2,
      liveness: {
        ...liveness,
        lifeOf: (other, self) => {
          looks.push(now);
          return lifeOf(other, self);
        },
      },
    });
    opened.push(log);
    await join(log, epochs);
    await looks.until((items) => items.length >= 2);
    now = LEASE_MS;
    await looks.until((items) => items.filter((at) => at === LEASE_MS).length >= 2);
    expect(epochs.items).toEqual([]);
    now = LEASE_MS + 1;
    await epochs.until((items) => items.length === 2);
    expect(epochs.items).toEqual([8, 8]);
  });

  test('two processes that cannot see each other keep each other alive by heartbeats', async () => {
    const [a, b] = [await open(), await open(elsewhere)];
    const epochs = new Collector<number>();
    const first = await join(a, epochs);
    await epochs.until((items) => items.length === 2);
    const second = await join(b, epochs);
    await epochs.until((items) => items.length === 3);
    const store = await openStore(dir, 2);
    const claims = new Claims(store);
    const beats = () => {
      store.root.resetReadTxn();
      return claims.members('group').map((member) => member.beat);
    };
    for (let i = 0; i < 8; i++) {
      const before = beats();
      now += HEARTBEAT_MS;
      await expect.poll(() => beats().every((beat, at) => beat > before[at]!), { timeout: 5_000, interval: 50 }).toBe(true);
    }
    await store.close();
    expect(now).toBeGreaterThan(LEASE_MS);
    expect([first.owned().length, second.owned().length]).toEqual([1, 1]);
    expect(epochs.items).toHaveLength(3);
  });

  test('a member that was taken out although it lives joins again by itself', async () => {
    const log = await open();
    const epochs = new Collector<number>();
    await join(log, epochs);
    await epochs.until((items) => items.length === 2);
    await log.expel('node-1');
    await epochs.until((items) => items.length === 4);
    expect(epochs.items).toEqual([1, 1, 2, 2]);
  });
});
