// A process to be killed: writes to a log, or works in a group, and says on its standard output, line by line, what was acknowledged.
//
// node log-process.js writer|worker <dir> <name>
import { writeSync } from 'node:fs';
import { LIFECYCLE, TELEMETRY } from '../../schemas/index.js';
import type { Log } from '../index.js';
import { openLmdbLog } from '../lmdb/index.js';

const PARTITIONS = 4;
/** Appends under way at once, so that a kill hits some in the middle. */
const PRODUCERS = 16;

const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

/** Each append goes to two topics, so that a half-written one would show. */
const write = async (log: Log, name: string): Promise<never> => {
  let count = 0;
  const produce = async (): Promise<never> => {
    for (;;) {
      const id = `${name}-${count++}`;
      const key = `key-${count % 16}`;
      await log.append(
        [LIFECYCLE, TELEMETRY].map((topic) => ({ topic: topic as typeof LIFECYCLE, key, headers: { type: id }, value: id })),
      );
      say(id);
    }
  };
  return Promise.race(Array.from({ length: PRODUCERS }, produce));
};

/** Counts the records of each partition in a state, and puts one output out for each. */
const work = async (log: Log, name: string): Promise<void> => {
  const membership = await log.join('workers', [LIFECYCLE], async (assignment) => {
    const { partition } = assignment;
    say(`owns ${partition} ${Date.now()}`);
    let seen = Number(Buffer.from((await assignment.state('seen')) ?? '0').toString());
    for await (const batch of assignment.records({ maxBatch: 20 })) {
      seen += batch.length;
      const outputs = batch.map((record) => ({
        topic: 'dats.dlq' as const,
        key: record.key,
        headers: { type: `${partition}-${record.offset}`, by: name },
        value: '',
      }));
      await assignment.commit({ next: batch.at(-1)!.offset + 1, outputs, states: new Map([['seen', String(seen)]]) });
      say(`did ${partition} ${batch.at(-1)!.offset}`);
    }
  });
  await membership.done;
};

const [role, dir, name] = process.argv.slice(2);
if (role === undefined || dir === undefined || name === undefined) throw new Error('usage: log-process.js writer|worker <dir> <name>');
// A handle that keeps the process alive while everything else waits for others.
setInterval(() => undefined, 1 << 30);
const log = await openLmdbLog({ dir, node: name, partitions: PARTITIONS });
say('ready');
await (role === 'writer' ? write(log, name) : work(log, name));
