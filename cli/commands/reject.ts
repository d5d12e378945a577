// `dats reject`: a person says, after a task was completed, that its result is wrong.
import { newId, rejectTaskSchema } from '../../schemas/index.js';
import { CHANGING, withServer } from '../offline.js';
import type { Action, Register } from '../session.js';
import { afterwards } from './cascade-watch.js';
import { checkedBody } from './checked-body.js';

const send: Action = async (session, [task], options) => {
  const body = checkedBody(rejectTaskSchema, { reason: String(options.reason) }, { reason: '--reason' });
  const idempotencyKey = newId();
  return withServer(session, CHANGING, async (client, aside) => {
    const answer = await client.rejectTask(task!, body, { signal: session.io.signal, idempotencyKey });
    session.data(answer);
    session.say(
      `${answer.task_id}: attempt ${answer.attempt} is rejected${answer.cascade_id === null ? '' : `; cascade ${answer.cascade_id} begins`}`,
    );
    return afterwards(session, client, answer.cascade_id, options.wait === true || aside);
  });
};

export const reject: Register = (program, run) => {
  program
    .command('reject <task>')
    .description(
      'say that the result of a completed task is wrong; what was made from it is marked (cascade.on_late_rejection of servers.yaml)',
    )
    .requiredOption('--reason <text>', 'why; it is kept')
    .option('--wait', 'follow the cascade that it begins to its end')
    .addHelpText('after', '\nExamples:\n  dats reject 0199a1b2-... --reason "rounds the wrong way" --wait')
    .action(run(send));
};
