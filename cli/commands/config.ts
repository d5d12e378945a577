// `dats config`: is servers.yaml right, and what holds; what was changed since, and changing it while the system runs.
import { EXIT } from '../exit.js';
import type { Action, Register } from '../session.js';
import { rollBackSetting, setSetting } from './config-change.js';
import { showDiff, showSetting, showVersions } from './config-show.js';
import { wholeNumber } from './options.js';

const check: Action = async (session, [file]) => {
  const { loadConfiguration } = await import('../../nodes/index.js');
  const found = loadConfiguration({ env: session.io.env, cwd: session.io.cwd, ...(file === undefined ? {} : { path: file }) });
  session.data({ ok: true, path: found.path ?? null, version: found.version, warnings: found.warnings, config: found.config });
  session.note(...found.warnings.map((warning) => `dats: ${warning}`));
  const { gateway, models, node } = found.config;
  session.say(
    `${found.path ?? 'the built-in defaults'}: ok, version ${found.version}`,
    `  gateway http://${gateway.host}:${gateway.port}, data in ${node.data_dir}`,
    ...models.map((model) => `  model ${model.id} (${model.runner}) for ${model.tiers.join(', ')}${model.fallback ? ', fallback' : ''}`),
  );
  return EXIT.ok;
};

const VERSION = wholeNumber(0, 1_000_000_000);

export const config: Register = (program, run) => {
  const command = program.command('config').description('the configuration: servers.yaml, and what was changed since while the system ran');
  command
    .command('check [file]')
    .description('check servers.yaml and the DATS_ variables; says every problem with its place')
    .addHelpText('after', '\nExamples:\n  dats config check\n  DATS_GATEWAY_PORT=9090 dats config check deploy/servers.yaml --json')
    .action(run(check));
  command
    .command('get [setting]')
    .description('what can be changed and its versions; or one setting, or a field of it')
    .option('--version <n>', 'as it was; 0: as servers.yaml says, or as it is built in', VERSION)
    .addHelpText(
      'after',
      '\nExamples:\n  dats config get\n  dats config get scheduling > scheduling.yaml\n  dats config get prompts.generate.system --version 0',
    )
    .action(run(showSetting));
  command
    .command('set <setting> <value>')
    .description('change a setting, or one field of it; it holds everywhere within a second')
    .option('--reason <text>', 'why; it is kept')
    .option('--by <name>', 'who changes it')
    .option('--if-version <n>', 'only where this is the newest version; default: the one that is there now', VERSION)
    .addHelpText(
      'after',
      '\nThe value is a file, "-" for standard input, or JSON or YAML as it stands. null gives a setting back to servers.yaml, and takes a field away. A gateway must run.\n\nExamples:\n  dats config set routing.ask_model_below 0.2\n  dats config set scheduling scheduling.yaml --reason "more machines"\n  dats config set scheduling.projects.website "{max_running: 50}"\n  dats config set access.block "[ollama-large]"\n  dats config set prompts.generate.system prompt.md',
    )
    .action(run(setSetting));
  command.command('versions <setting>').description('every version of a setting, newest first').action(run(showVersions));
  command
    .command('diff <setting> [from] [to]')
    .description('what two versions differ in; default: the newest and the one before it')
    .action(run(showDiff));
  command
    .command('rollback <setting>')
    .description('bring back an earlier value, as a new version; the difference is shown first')
    .option('--to <n>', 'the version to bring back; 0: what servers.yaml says. Default: the one before the newest', VERSION)
    .option('--reason <text>', 'why; it is kept')
    .option('--by <name>', 'who changes it')
    .option('--dry-run', 'only show what would change')
    .option('--yes', 'do not ask')
    .action(run(rollBackSetting));
};
