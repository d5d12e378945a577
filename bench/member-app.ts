// A member of a group in a process of its own, for R2: answers every record of one topic with one record of another, and tells what it owns.
//
// Environment: BENCH_MEMBER (a MemberSettings as JSON). Messages out: {joining: true}, {owned: [partition, ...]} whenever that changes, {said} when something
// went wrong or a partition was lost. In: {leave: true}.
import { openKafkaLog } from '../streams/kafka/index.js';
import { consumeWork } from '../streams/runtime/index.js';
import { ANSWERS, GROUP, type MemberSettings, QUESTIONS, WORK_MS } from './rebalance-ledger.js';

const CONCURRENCY = 16;

const { brokers, prefix, partitions, node } = JSON.parse(process.env.BENCH_MEMBER!) as MemberSettings;
const say = (said: string): void => void process.send?.({ said });
const log = openKafkaLog({ brokers: [brokers], node, partitions, prefix, onProblem: (error) => say(String(error)) });
const owned = new Set<number>();
const tellOwned = (): void => void process.send?.({ owned: [...owned] });

process.send?.({ joining: true });
const member = await log.join(GROUP, [QUESTIONS], async (assignment) => {
  owned.add(assignment.partition);
  tellOwned();
  try {
    await consumeWork(assignment, {
      group: GROUP,
      concurrency: CONCURRENCY,
      onEvent: (event) => {
        if (event.type === 'fenced')
          say(`partition ${assignment.partition} of epoch ${assignment.epoch} was fenced: ${event.fault.message}`);
      },
      run: async ({ key, partition, offset }) => {
        await new Promise((resolve) => setTimeout(resolve, offset % (WORK_MS + 1)));
        return [{ topic: ANSWERS, key, headers: {}, value: `${partition}-${offset}` }];
      },
    });
  } finally {
    owned.delete(assignment.partition);
    tellOwned();
  }
});

const end = async (code: number): Promise<never> => {
  await member.leave();
  await log.close();
  process.exit(code);
};

member.done.catch((error: unknown) => {
  process.stderr.write(`bench member ${node}: ${String(error)}\n`);
  process.exit(1);
});
process.on('message', (message: { leave?: true }) => {
  if (message.leave) void end(0);
});
process.on('disconnect', () => void end(0));
