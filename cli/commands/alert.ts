// `dats alert`: a scanner, or a person, found something wrong with an artifact or a task.
import { newId, SEVERITIES, type Severity, securityAlertSchema } from '../../schemas/index.js';
import { CHANGING, withServer } from '../offline.js';
import type { Action, Register } from '../session.js';
import { afterwards } from './cascade-watch.js';
import { checkedBody } from './checked-body.js';
import { oneOf } from './options.js';

const NAMES: Readonly<Record<string, string>> = {
  kind: '<kind>',
  severity: '--severity',
  artifact_id: '--artifact',
  task_id: '--task',
  detail: '--detail',
};

const send: Action = async (session, [kind], options) => {
  const { severity, artifact, task, detail } = options as Record<string, string | undefined>;
  const body = checkedBody(
    securityAlertSchema,
    {
      kind: kind!,
      severity: oneOf('--severity', severity, SEVERITIES) as Severity,
      artifact_id: artifact,
      task_id: task,
      detail: detail!,
    },
    NAMES,
  );
  const idempotencyKey = newId();
  return withServer(session, CHANGING, async (client, aside) => {
    const answer = await client.securityAlert(body, { signal: session.io.signal, idempotencyKey });
    session.data(answer);
    session.say(
      session.quiet
        ? answer.alert_id
        : `alert ${answer.alert_id} (project ${answer.project_id})${answer.cascade_id === null ? '' : `; cascade ${answer.cascade_id} begins`}`,
    );
    return afterwards(session, client, answer.cascade_id, options.wait === true || aside);
  });
};

export const alert: Register = (program, run) => {
  program
    .command('alert <kind>')
    .description(
      'report that an artifact, or what a task made, is a danger; a severe one begins a cascade (cascade.on_security_alert of servers.yaml)',
    )
    .requiredOption('--severity <severity>', SEVERITIES.join(', '))
    .option('--artifact <id>', 'about this artifact')
    .option('--task <id>', 'or about what this task made')
    .requiredOption('--detail <text>', 'what was found; it is kept')
    .option('--wait', 'follow the cascade that it begins to its end')
    .addHelpText(
      'after',
      '\nExamples:\n  dats alert secret_leaked --severity high --artifact 0199a1b2-... --detail "an API key in line 3" --wait\n  dats alert malicious_code --severity critical --task 0199a1b2-... --detail "opens a socket"',
    )
    .action(run(send));
};
