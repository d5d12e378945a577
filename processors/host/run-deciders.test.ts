import { expect, it } from 'vitest';
import { type DatsEvent, dataschemaOf, Fault, formatLinkedFrom, LIFECYCLE, LINKED_FROM, newId } from '../../schemas/index.js';
import { eventOf, type Outgoing, outgoing, type Recorded } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { faultyLog } from '../../streams/testing/faulty-log.js';
import type { Decider } from '../decider.js';
import { say } from '../draft.js';
import { runDeciders } from './run-deciders.js';

const created = (task: string): DatsEvent =>
  ({
    specversion: '1.0',
    id: newId(),
    source: '/gateway',
    type: 'dats.task.created',
    time: new Date().toISOString(),
    subject: task,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf('dats.task.created'),
    projectid: 'p',
    correlationid: newId(),
    actor: 'test',
    configversion: 'test',
    data: {
      task_id: task,
      description: { bytes: 1, sha256: '0'.repeat(64), text: 'x' },
      priority: 'normal',
      options: {},
      depends_on: [],
      inputs: [],
      files: [],
      submitted_by: 'test',
    },
  }) as unknown as DatsEvent;

/** Cancels every task as soon as it is created; what is called `throws` it cannot take. */
const cancelling: Decider<null> = {
  name: 'cancelling',
  consumes: ['dats.task.created', 'dats.task.cancelled'],
  initialState: () => null,
  evolve: () => undefined,
  decide: (_state, event) => {
    if (event.type !== 'dats.task.created') return [];
    if (event.data.task_id === 'throws') throw new Error('a defect');
    return [say('dats.task.cancelled', event.data.task_id, { task_id: event.data.task_id, reason: 'test', by: 'test' })];
  },
  changes: () => new Map(),
  restore: () => null,
};

it('what was taken in and what was appended is told once, after it was committed, also when a decider throws in between', async () => {
  const log = openMemoryLog({ partitions: 1 });
  const taken: string[] = [];
  const outputs: Outgoing[] = [];
  let committedWhenTold = true;
  let enough!: () => void;
  const all = new Promise<void>((resolve) => {
    enough = resolve;
  });
  await log.append([created('one'), created('throws'), created('two')].map((event) => outgoing(LIFECYCLE, event)));
  const membership = await log.join('core', [LIFECYCLE], (assignment) =>
    runDeciders(assignment, {
      group: 'core',
      source: '/deciders/core',
      configVersion: () => 'test',
      now: Date.now,
      deciders: [cancelling as Decider],
      onCommitted: (events, appended) => {
        taken.push(...events.map(({ type, subject }) => `${type.slice('dats.task.'.length)} ${subject}`));
        outputs.push(...appended);
        void log.range(LIFECYCLE, 0).then(({ end }) => {
          const said = outputs.filter(({ topic }) => topic === LIFECYCLE).length;
          committedWhenTold &&= end >= 3 + said;
          if (taken.length >= 2 && said === 2) enough();
        });
      },
    }),
  );
  await all;
  await membership.leave();
  expect(committedWhenTold).toBe(true);
  expect(taken).toEqual(['created one', 'created two']);
  expect(outputs.map(({ topic, event }) => `${topic} ${event?.type ?? ''}`)).toEqual([
    'dats.lifecycle dats.task.cancelled',
    'dats.dlq ',
    'dats.telemetry dats.ops.alert',
    'dats.lifecycle dats.task.cancelled',
  ]);
  const record = await log.get({ topic: LIFECYCLE, partition: 0, offset: 3 });
  expect(eventOf(record!)).toEqual(outputs[0]!.event);
  await log.close();
});

it('a commit of a timer that is fenced ends the run at once, though no record comes', async () => {
  const log = faultyLog(openMemoryLog({ partitions: 1 }));
  const due = Date.now() + 30;
  const timing: Decider<null> = { ...cancelling, nextDue: () => due, tick: () => [] };
  log.failAt('commit:before', new Fault('fenced', 'lost', 'another owner'));
  let running: Promise<void> | undefined;
  const membership = await log.join('core', [LIFECYCLE], (assignment) => {
    running = runDeciders(assignment, {
      group: 'core',
      source: '/deciders/core',
      configVersion: () => 'test',
      now: Date.now,
      deciders: [timing as Decider],
    });
    return running;
  });
  while (running === undefined) await new Promise((resolve) => setImmediate(resolve));
  await running;
  expect(log.failures).toEqual(['commit:before']);
  await membership.leave();
});

it('nothing is decided before what is in force is as new as the version that the event names (R4)', async () => {
  const log = openMemoryLog({ partitions: 1 });
  await log.append([{ ...created('one'), configversion: 'd+3' } as DatsEvent].map((event) => outgoing(LIFECYCLE, event)));
  const order: string[] = [];
  let learn!: () => void;
  const learned = new Promise<void>((resolve) => {
    learn = resolve;
  });
  let committed!: () => void;
  const done = new Promise<void>((resolve) => {
    committed = resolve;
  });
  const membership = await log.join('core', [LIFECYCLE], (assignment) =>
    runDeciders(assignment, {
      group: 'core',
      source: '/deciders/core',
      configVersion: () => 'd+3',
      known: (configversion) => {
        order.push(`asked for ${configversion}`);
        setImmediate(() => {
          order.push('learned');
          learn();
        });
        return learned;
      },
      now: Date.now,
      deciders: [{ ...cancelling, evolve: () => void order.push('folded') } as Decider],
      onCommitted: committed,
    }),
  );
  await done;
  await membership.leave();
  expect(order.slice(0, 3)).toEqual(['asked for d+3', 'learned', 'folded']);
  await log.close();
});

/** As another process reads it: the copy of a word that another node said. */
const copied = (event: DatsEvent): Outgoing => {
  const { topic, key, headers, value } = outgoing(LIFECYCLE, event);
  return {
    topic,
    key,
    value,
    headers: { ...headers, [LINKED_FROM]: formatLinkedFrom({ epoch: 1, partition: 0, offset: 0, node: 'edge-1' }) },
  };
};
const moved = (): DatsEvent => {
  const { data: _data, ...envelope } = created('p');
  const data = { project_id: 'p', from: 'edge-1', to: 'core', requested_at: 0 };
  return { ...envelope, type: 'dats.project.moved', dataschema: dataschemaOf('dats.project.moved'), data } as unknown as DatsEvent;
};

it('a project that comes is taken over in one commit, when the log gives its history; until then nothing is', async () => {
  const log = openMemoryLog({ partitions: 1 });
  const last = moved();
  await log.append([copied(created('there')), copied(created('left')), copied(last)]);
  const problems: string[] = [];
  let tries = 0;
  const run = {
    group: 'core',
    source: '/deciders/core',
    deciders: [{ ...cancelling, consumes: [...cancelling.consumes, 'dats.project.moved'] } as Decider],
    configVersion: () => '1',
    now: Date.now,
    onProblem: (fault: Fault) => void problems.push(fault.code),
    arrivals: {
      of: async ({ type, offset }: Recorded) => {
        if (type !== 'dats.project.moved') return undefined;
        if (++tries < 3) throw new Fault('retryable', 'log_away', 'it does not answer');
        const left = [created('left'), 1] as const;
        return { history: [[created('there'), 0] as const], undecided: [left], moved: [last, offset] as const };
      },
    },
  };
  const outputs: Outgoing[] = [];
  let told!: () => void;
  const all = new Promise<void>((resolve) => {
    told = resolve;
  });
  const onCommitted = (_taken: readonly DatsEvent[], said: readonly Outgoing[]): void => {
    outputs.push(...said);
    if (outputs.length > 0) told();
  };
  const membership = await log.join('core', [LIFECYCLE], (assignment) => runDeciders(assignment, { ...run, onCommitted }));
  await all;
  await membership.leave();
  expect(problems).toEqual(['log_away', 'log_away']);
  expect(outputs.map((one) => [one.headers['type'], one.headers['subject'], one.headers['afteroffset']])).toEqual([
    ['dats.task.cancelled', 'left', '2'],
  ]);
  await log.close();
});

it('a project that comes is not passed over by who has to give the partition up before it has read its history', async () => {
  const log = openMemoryLog({ partitions: 1 });
  await log.append([copied(moved())]);
  let asked!: () => void;
  const first = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const of = async (): Promise<never> => {
    asked();
    throw new Fault('retryable', 'log_away', 'it does not answer');
  };
  const run = {
    group: 'core',
    source: '/deciders/core',
    deciders: [cancelling as Decider],
    configVersion: () => '1',
    now: Date.now,
    arrivals: { of },
  };
  const membership = await log.join('core', [LIFECYCLE], (assignment) => runDeciders(assignment, run));
  await first;
  await membership.leave();
  expect((await log.lag('core', [LIFECYCLE]))[0]!.committed).toBe(0);
  await log.close();
});
