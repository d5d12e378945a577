// `dats config check`: is servers.yaml right, and what holds?
import { EXIT } from '../exit.js';
import type { Register } from '../session.js';

export const config: Register = (program, run) => {
  const command = program.command('config').description('the configuration');
  command
    .command('check [file]')
    .description('check servers.yaml and the DATS_ variables; says every problem with its place')
    .addHelpText('after', '\nExamples:\n  dats config check\n  DATS_GATEWAY_PORT=9090 dats config check deploy/servers.yaml --json')
    .action(
      run(async (session, [file]) => {
        const { loadConfiguration } = await import('../../nodes/index.js');
        const found = loadConfiguration({ env: session.io.env, cwd: session.io.cwd, ...(file === undefined ? {} : { path: file }) });
        session.data({ ok: true, path: found.path ?? null, version: found.version, warnings: found.warnings, config: found.config });
        session.note(...found.warnings.map((warning) => `dats: ${warning}`));
        const { gateway, models, node } = found.config;
        session.say(
          `${found.path ?? 'the built-in defaults'}: ok, version ${found.version}`,
          `  gateway http://${gateway.host}:${gateway.port}, data in ${node.data_dir}`,
          ...models.map(
            (model) => `  model ${model.id} (${model.runner}) for ${model.tiers.join(', ')}${model.fallback ? ', fallback' : ''}`,
          ),
        );
        return EXIT.ok;
      }),
    );
};
