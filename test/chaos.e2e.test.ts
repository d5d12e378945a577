// A whole installation on Kafka and Redis whose processes, broker and Redis are killed, emptied, frozen and away: nothing acknowledged is lost, nothing
// happens twice, every project's order holds, and everything goes on by itself (quality.md R1, R2, R3).
//
// DATS_SEED repeats the choices of a run. How much harm is done: DATS_CHAOS_* (README.md).
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DLQ, LETTER, LIFECYCLE, type Problem, partitionOf, RETRIED_FROM, workTopic } from '../schemas/index.js';
import { describeWith } from '../streams/testing/servers.js';
import type { Api } from './support/api.js';
import { type Harm, type HarmCounts, openHarmer, planOf } from './support/chaos.js';
import { eventually } from './support/eventually.js';
import { finishedWork } from './support/finished-work.js';
import { foreignClient } from './support/foreign-client.js';
import { allReady, atWork, PARTITIONS, PROJECTS, type Servers, startServers } from './support/installation.js';
import { judge, type LoadedRun, startLoadedRun, told } from './support/loaded-run.js';
import { tidy } from './support/node-process.js';
import { finalViewsOf } from './support/outcomes.js';
import { poisonFor } from './support/poison.js';
import { type Random, seededRandom, testSeed } from './support/random.js';
import {
  allEnded,
  dependencyOf,
  live,
  submitted,
  TAKES_MS,
  type Task,
  taking,
  throughout,
  withInstallation,
} from './support/small-installation.js';
import { readLog } from './support/whole-log.js';

const setting = (name: string, short: number): number => Number(process.env[`DATS_CHAOS_${name}`] ?? short);
const COUNTS: HarmCounts = {
  'process kill': setting('KILLS', 12),
  'broker kill': setting('BROKER_KILLS', 3),
  'redis flush': setting('REDIS_FLUSHES', 2),
  'redis kill': setting('REDIS_KILLS', 1),
  zombie: setting('ZOMBIES', 2),
};
const REBALANCES = setting('REBALANCES', 6);
/** How long a server stays away, in milliseconds. */
const AWAY_MS = setting('AWAY_S', 10) * 1_000;
/** Servers of its own, as they are killed; where the machine has none, the run's global setup has said so. */
const NEEDED = ['kafka', 'redis'] as const;
const LANES = 6;
const FEW_LANES = 2;
/** A long run takes what it takes, in milliseconds; what is awaited in it has limits of its own. */
const RUN_LIMIT_MS = 60 * 60_000;
/** Whatever goes on by itself has gone on within this, in milliseconds. */
const PROGRESS_WITHIN_MS = 60_000;
/** After a rebalance work may stand still for so long at the most, in milliseconds. The aim is 5 s; a slow machine does not decide. */
const RESUMED_WITHIN_MS = 30_000;

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
});
afterAll(() => servers.close());
afterEach(async (context) => {
  await tidy(context);
  // A test that failed in the middle leaves the servers to the next one.
  await Promise.all([servers.kafka.start(), servers.redis.start()]);
});

const inflictAll = async (run: LoadedRun, plan: readonly Harm[], random: Random): Promise<void> => {
  const { installation, ended } = run;
  const harmer = openHarmer(installation, servers, random);
  try {
    for (const [i, harm] of plan.entries()) {
      const before = ended.size;
      await harmer.between();
      run.note(harm);
      await harmer.inflict(harm);
      expect(installation.fleet.deaths).toEqual([]);
      // Every third waits for progress first, so that no run consists of starts alone.
      if (i % 3 === 2) await eventually('progress between harms', PROGRESS_WITHIN_MS, () => ended.size > before);
    }
  } finally {
    await harmer.end();
  }
  run.note('no more harm');
};

describeWith(NEEDED, 'chaos', () => {
  it('of processes, broker and Redis under load loses nothing, repeats nothing and breaks no order', {
    timeout: RUN_LIMIT_MS,
  }, async () => {
    const seed = testSeed('chaos');
    const members = ['gateway', 'gateway', 'deciders', 'deciders', 'workers', 'workers'];
    const run = await startLoadedRun(servers, members, seededRandom(seed + 1), LANES);
    await told(run, async () => {
      const random = seededRandom(seed);
      run.begin();
      await eventually('the first task that ended', PROGRESS_WITHIN_MS, () => run.ended.size > 0);
      await inflictAll(run, planOf(COUNTS, random), random);
      await allReady(run.installation.apis);
      await run.settle();
      await judge(run, 'chaos', COUNTS);
      expect(await run.installation.fleet.stop()).toEqual(members.map(() => 0));
    });
  });
});

/** One task in every partition, to its end. @returns milliseconds. */
const probe = async ({ installation, ended }: LoadedRun, name: string): Promise<number> => {
  const began = performance.now();
  const ids = await Promise.all(
    PROJECTS.map((project_id) =>
      eventually(`an answer to ${name}`, RESUMED_WITHIN_MS, async () => {
        const body = { project_id, description: '[script:instant] probe', options: { qa_profile: 'syntax' } };
        const answer = await installation.gateways.submit(body, `${name}-${project_id}`);
        return answer.status === 202 && answer.body.task_id;
      }),
    ),
  );
  await eventually(`the end of ${name} in every project`, RESUMED_WITHIN_MS, () => ids.every((id) => ended.has(id)));
  return performance.now() - began;
};

describeWith(NEEDED, 'rebalances', () => {
  /** A member that is away enters; one that is there leaves in order or is killed, as long as another does the same work. */
  const rebalance = async ({ installation }: LoadedRun, random: Random): Promise<string> => {
    const { fleet, indexes } = installation;
    const group = random.pick([indexes.deciders, indexes.workers]);
    const away = group.filter((member) => fleet.pid(member) === undefined);
    const here = group.filter((member) => fleet.pid(member) !== undefined);
    if (here.length === 1 || (away.length > 0 && random.next() < 0.5)) {
      const member = random.pick(away);
      fleet.enter(member);
      await atWork(installation, member);
      return `${fleet.members[member]} ${member} enters`;
    }
    const member = random.pick(here);
    const signal = random.pick(['SIGTERM', 'SIGKILL'] as const);
    const code = await fleet.leave(member, signal);
    if (signal === 'SIGTERM') expect(code).toBe(0);
    return `${fleet.members[member]} ${member} leaves by ${signal}`;
  };

  it(`${REBALANCES} of them, the broker restarted in between, hold work up for seconds and lose nothing`, {
    timeout: RUN_LIMIT_MS,
  }, async () => {
    const seed = testSeed('rebalances');
    const random = seededRandom(seed);
    const members = [
      'gateway',
      'deciders',
      'deciders',
      { roles: 'deciders', away: true },
      'workers',
      'workers',
      { roles: 'workers', away: true },
    ];
    const run = await startLoadedRun(servers, members, seededRandom(seed + 1), FEW_LANES);
    await told(run, async () => {
      const { fleet, log, apis, indexes } = run.installation;
      run.begin();
      await allReady(apis);
      for (const member of fleet.members.keys()) if (fleet.pid(member) !== undefined) await atWork(run.installation, member);
      await probe(run, 'before');
      const took: number[] = [];
      for (let i = 0; i < REBALANCES; i++) {
        run.note(await rebalance(run, random));
        // In the middle, while records are consumed.
        if (i === Math.floor(REBALANCES / 2)) {
          await servers.kafka.kill();
          await servers.kafka.start();
          run.note('the broker was restarted');
          await probe(run, 'after the broker');
        } else took.push(await probe(run, `after ${i}`));
        expect(fleet.deaths).toEqual([]);
      }
      // All at once, in the middle of everything: what is committed then must have its outcome.
      const all = [...indexes.deciders, ...indexes.workers].filter((member) => fleet.pid(member) !== undefined);
      await Promise.all(all.map((member) => fleet.leave(member, 'SIGKILL')));
      const finished = await finishedWork(log, async () => (await readLog(log)).events);
      expect(finished.lost).toEqual([]);
      expect(finished.items).toBeGreaterThan(0);
      for (const member of all) fleet.enter(member);
      await run.settle();
      const longest = Math.max(...took);
      await judge(run, 'rebalances', {
        rebalances: REBALANCES,
        longest_until_work_went_on_s: Math.round(longest / 100) / 10,
        median_s: Math.round([...took].sort((a, b) => a - b)[took.length >> 1]! / 100) / 10,
        work_items_checked: finished.items,
      });
    });
  });
});

describeWith(NEEDED, `a broker that is away for ${AWAY_MS / 1_000} s`, () => {
  /** What every gateway says meanwhile. */
  const saysSo = async (api: Api): Promise<void> => {
    expect(await dependencyOf(api, 'log')).toMatchObject({ ok: false, detail: expect.stringMatching(/broker|Kafka/) });
    const ready = await api.ask<Problem>('GET', '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.body.errors).toContainEqual({ pointer: '/log', detail: expect.stringMatching(/broker|Kafka/) });
    const refused = await api.submit(taking(0, 'alpha'), `refused-${performance.now()}`);
    expect(refused.status, JSON.stringify(refused.body)).toBe(503);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.body.retryable).toBe(true);
  };

  it('when the processes start: they come up, say so, refuse what they cannot keep, and work when it is there', async () => {
    await servers.kafka.stop();
    await withInstallation(servers, async (installation) => {
      const { apis } = installation;
      for (const api of apis) await live(api);
      const looks = await throughout(AWAY_MS, async () => void (await Promise.all(apis.map(saysSo))));
      await servers.kafka.start();
      await allReady(apis);
      const tasks = await submitted(
        apis[0]!,
        PROJECTS.map((project) => taking(0, project)),
      );
      await allEnded(installation, tasks);
      console.info(`a broker away at the start: ${looks} looks, every one said so`);
    });
  });

  it('while tasks run: what was acknowledged ends, once', async () => {
    await withInstallation(servers, async (installation) => {
      const { apis } = installation;
      await allReady(apis);
      const bodies = PROJECTS.flatMap((project) => [...TAKES_MS, ...TAKES_MS].map((ms) => taking(ms, project)));
      const tasks = await submitted(apis[0]!, bodies);
      const long = tasks.filter((_, i) => bodies[i]!.description.includes('takes-2000'));
      await eventually('a running task', PROGRESS_WITHIN_MS, async () => {
        const views = await Promise.all(long.map(({ task_id }) => apis[0]!.task(task_id)));
        return views.some(({ state }) => state === 'running');
      });
      await servers.kafka.kill();
      await Promise.all(
        apis.map((api) => eventually('a gateway that says so', PROGRESS_WITHIN_MS, async () => !(await dependencyOf(api, 'log')).ok)),
      );
      const looks = await throughout(AWAY_MS, async () => void (await Promise.all(apis.map(saysSo))));
      await servers.kafka.start();
      await allReady(apis);
      await allEnded(installation, tasks);
      console.info(`a broker away in flight: ${tasks.length} tasks, ${looks} looks, every one said so`);
    });
  });
});

describeWith(NEEDED, 'a Redis that is away', () => {
  /**
   * Submissions are taken; one with a key may be refused for now, as only the views know whether the key was used before. A read tells the truth, or that it
   * cannot.
   */
  const worksOn = async (api: Api, key: string): Promise<readonly Task[]> => {
    expect((await dependencyOf(api, 'views')).ok).toBe(false);
    const { status, body } = await api.submit(taking(0, 'beta'));
    expect([status, body.detail]).toEqual([202, undefined]);
    const keyed = await api.submit(taking(0, 'beta'), key);
    if (keyed.status !== 202) {
      expect([keyed.status, keyed.body.retryable]).toEqual([503, true]);
      expect(Number(keyed.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    const tasks = [body, ...(keyed.status === 202 ? [keyed.body] : [])].map(({ task_id, project_id }) => ({ task_id, project_id }));
    for (const { task_id } of tasks) {
      const read = await api.ask<{ task_id?: string }>('GET', `/api/v1/tasks/${task_id}`);
      expect([200, 503]).toContain(read.status);
      if (read.status === 200) expect(read.body.task_id).toBe(task_id);
    }
    return tasks;
  };

  it('when the processes start or while they run does not keep tasks from being taken and done; the views catch up', async () => {
    await servers.redis.stop();
    await withInstallation(servers, async (installation) => {
      const { apis } = installation;
      for (const api of apis) {
        await live(api);
        await eventually('a log that is there', PROGRESS_WITHIN_MS, async () => (await dependencyOf(api, 'log')).ok);
      }
      const tasks = [...(await worksOn(apis[0]!, 'start-0')), ...(await worksOn(apis[1]!, 'start-1'))];
      await servers.redis.start();
      await allReady(apis);
      await allEnded(installation, tasks);
      tasks.push(...(await submitted(apis[1]!, [taking(1_000, 'gamma'), taking(2_000, 'beta')])));
      await servers.redis.kill();
      for (const [i, api] of apis.entries()) {
        await eventually('a gateway that says so', PROGRESS_WITHIN_MS, async () => !(await dependencyOf(api, 'views')).ok);
        tasks.push(...(await worksOn(api, `flight-${i}`)));
      }
      await servers.redis.start();
      await allReady(apis);
      await allEnded(installation, tasks);
    });
  });
});

describeWith(NEEDED, 'a record of a foreign producer that no event decodes', () => {
  const PROJECT = 'alpha';
  const PARTITION = partitionOf(PROJECT, PARTITIONS);
  interface Letter {
    readonly id: string;
    readonly code: string;
    readonly topic: string;
    readonly offset: number;
  }

  it.each([
    ['lifecycle', LIFECYCLE, 'dats.task.created'],
    ['work', workTopic('small'), 'dats.work.requested'],
  ] as const)('on the %s topic becomes a dead letter as it was, can be sent back, and holds nothing up', async (_, topic, type) => {
    await withInstallation(servers, async (installation) => {
      const { apis, prefix } = installation;
      const [api] = apis;
      const foreign = foreignClient([servers.kafka.brokers]);
      await allReady(apis);
      const tasks = [...(await submitted(api!, [taking(0, PROJECT)]))];
      const poison = Object.entries(poisonFor(type, PROJECT));
      const offsets = await foreign.write(
        prefix + topic,
        PARTITION,
        poison.map(([, record]) => record),
      );
      tasks.push(...(await submitted(api!, [taking(0, PROJECT)])));
      const views = await finalViewsOf(
        api!,
        tasks.map(({ task_id }) => task_id),
        PROGRESS_WITHIN_MS,
      );
      expect(views.map(({ state }) => state)).toEqual(['completed', 'completed']);

      const letters = await foreign.readUntil(
        prefix + DLQ,
        'a dead letter of each',
        PROGRESS_WITHIN_MS,
        (all) => all.length >= poison.length,
      );
      expect(letters.length).toBe(poison.length);
      poison.forEach(([code, record], i) => {
        const letter = letters.find(({ headers }) => headers[LETTER.code] === code)!;
        expect(letter, code).toBeDefined();
        expect([letter.key, letter.value], code).toEqual([record.key, record.value]);
        expect(letter.headers, code).toMatchObject(record.headers);
        expect(letter.headers, code).toMatchObject({
          [LETTER.topic]: topic,
          [LETTER.partition]: String(PARTITION),
          [LETTER.offset]: String(offsets[i]),
          [LETTER.stage]: 'VALUE_CONVERTER',
          [LETTER.attempts]: '1',
          [LETTER.retryable]: 'false',
        });
        for (const name of [LETTER.id, LETTER.group, LETTER.message, LETTER.stack, LETTER.firstFailedAt, LETTER.failedAt])
          expect(letter.headers[name]?.length, `${code} ${name}`).toBeGreaterThan(0);
      });

      const listed = (await api!.ask<{ dead_letters: Letter[] }>('GET', '/api/v1/dlq?state=open')).body.dead_letters;
      expect(listed.map((letter) => [letter.topic, letter.offset, letter.code]).sort()).toEqual(
        poison.map(([code], i) => [topic, offsets[i], code]).sort(),
      );
      for (const { id } of listed) expect((await api!.ask('POST', `/api/v1/dlq/${id}/retry`, {})).status).toBe(200);
      const back = await foreign.readUntil(
        prefix + topic,
        'every record back on its topic',
        PROGRESS_WITHIN_MS,
        (all) => all.filter(({ headers }) => headers[RETRIED_FROM] !== undefined).length >= poison.length,
      );
      const returned = back.filter(({ headers }) => headers[RETRIED_FROM] !== undefined);
      for (const [code, { key, value, headers }] of poison) {
        const again = returned.find((record) => record.value?.equals(value!) && record.headers['ce_id'] === headers['ce_id']);
        expect(again, code).toMatchObject({ partition: PARTITION, key, value });
        expect({ ...again!.headers, [RETRIED_FROM]: '' }, code).toEqual({ ...headers, [RETRIED_FROM]: '' });
      }
      // They are no better the second time, and still nothing is held up.
      await eventually('the letters of the second time', PROGRESS_WITHIN_MS, async () => {
        const { body } = await api!.ask<{ dead_letters: Letter[] }>('GET', '/api/v1/dlq?state=open');
        return body.dead_letters.length === poison.length;
      });
      const [last] = await submitted(apis[1]!, [taking(0, PROJECT)]);
      expect((await finalViewsOf(api!, [last!.task_id], PROGRESS_WITHIN_MS))[0]!.state).toBe('completed');
    });
  });
});
