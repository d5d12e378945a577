// `dats demo`: see ../demo/demo.ts, which is loaded only when it is asked for.
import type { Register } from '../session.js';

export const demo: Register = (program, run) => {
  program
    .command('demo')
    .description('see it work: a whole node in this process, six tasks, no server, key or model needed')
    .option('--running', 'on the server that runs (--url, DATS_URL, servers.yaml) instead of a node of its own')
    .option('--recorded', 'recorded answers only, though a model of servers.yaml may answer')
    .addHelpText('after', '\nExamples:\n  dats demo\n  dats demo --json | jq -r .type\n  dats demo --running --url http://127.0.0.1:8081')
    .action(
      run(async (session, _args, options) => {
        const { runDemo } = await import('../demo/demo.js');
        return runDemo(session, { recorded: options.recorded === true, running: options.running === true });
      }),
    );
};
