// `dats audit`: tamper evidence. Whether history is what was signed, with which key, and what others need to see it for themselves.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Fault, isFault } from '../../schemas/index.js';
import { EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import { checkpointTable, oneLine, plural } from '../render/index.js';
import type { Action, Register } from '../session.js';
import { checkEmpty, writeBundleFolder } from './audit-folder.js';
import { check, prove } from './audit-proof.js';
import { verify } from './audit-verify.js';
import { wholeNumber } from './options.js';

const showKey: Action = async (session) => {
  const vkey = await withServer(session, LOOKING, (client) => client.auditKey({ signal: session.io.signal }));
  session.data({ vkey });
  session.say(oneLine(vkey));
  return EXIT.ok;
};

const showCheckpoints: Action = async (session, [project], options) => {
  const limit = Number(options.limit);
  const found = await withServer(session, LOOKING, (client) => client.auditCheckpoints(project!, limit, { signal: session.io.signal }));
  session.data(found);
  session.say(...(found.checkpoints.length === 0 ? ['no checkpoint is signed yet'] : checkpointTable(found, session.colours)));
  if (found.checkpoints.length >= limit) session.note(`(the newest ${limit}; more with --limit)`);
  return EXIT.ok;
};

/** The verifier that outsiders read and run. @throws Fault `broken_installation` */
const verifierScript = async (): Promise<string> => {
  const { packageRoot } = await import('../../nodes/index.js');
  const script = join(packageRoot(), 'processors', 'audit', 'offline', 'verify.mjs');
  if (!existsSync(script)) throw new Fault('terminal', 'broken_installation', `${script} is not there: this installation is not whole`);
  return script;
};

/** The stream that was cut off, and no other error, is said with what became of the folder. */
const withoutTrace = (error: unknown, folder: string): unknown =>
  isFault(error) && (error.code === 'bundle_cut_off' || error.code === 'bad_bundle')
    ? new Fault(error.kind, error.code, `${error.message}; nothing was left in ${folder}, try again`, { cause: error })
    : error;

const exportAll: Action = async (session, [project], options) => {
  const script = await verifierScript();
  const folder = session.path(options.out as string);
  const shown = relative(session.io.cwd, folder) || '.';
  checkEmpty(folder);
  const { signal } = session.io;
  const written = await withServer(session, LOOKING, (client) =>
    writeBundleFolder(folder, client.auditBundle(project!, { signal }), [script]),
  ).catch((error: unknown) => {
    throw withoutTrace(error, shown);
  });
  session.data({ ...written, folder });
  session.say(
    `${plural(written.events, 'event')} and ${plural(written.checkpoints, 'checkpoint')} of project ${oneLine(written.project)} are in ${shown}`,
  );
  session.note(
    `verify it with: dats audit verify --bundle ${shown}`,
    `without this product: node ${join(shown, 'verify.mjs')} ${shown} --key '${oneLine(written.vkey)}'`,
  );
  return EXIT.ok;
};

const EXAMPLES = `
Examples:
  dats audit verify website
  dats audit key > dats.vkey                              keep it where nobody can change it
  dats audit verify website --data-dir /backup/dats --key dats.vkey
  dats audit export website --out ./website-history && dats audit verify --bundle ./website-history --key dats.vkey
  dats audit prove p3-17 --project website --out proof.json && dats audit check proof.json --key dats.vkey

Exit codes of verify and check: 0 verified; 1 tampered with or damaged; 2 nothing could be said; 3 no server`;

export const audit: Register = (program, run) => {
  const command = program
    .command('audit')
    .description('is history what was signed: verify it, prove events, take it away')
    .addHelpText('after', EXAMPLES);
  const key = ['--key <vkey-or-file>', 'the key that you trust (default: that of whoever keeps the history)'] as const;
  command
    .command('verify [project]')
    .description('compare all events with the signed checkpoints; what is wrong is named')
    .option('--bundle <folder>', 'of an exported folder, with nothing but its files')
    .option('--data-dir <dir>', 'of a copy of a data folder, made while nobody wrote to it')
    .option(...key)
    .addHelpText('after', EXAMPLES)
    .action(run(verify));
  command
    .command('key')
    .description('print the public key that checkpoints are verified with, as a vkey')
    .addHelpText('after', '\nExample:\n  dats audit key > dats.vkey')
    .action(run(showKey));
  command
    .command('checkpoints <project>')
    .description('list the signed checkpoints, newest first')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000), 20)
    .addHelpText('after', '\nExample:\n  dats audit checkpoints website --json | jq -r .checkpoints[0].note')
    .action(run(showCheckpoints));
  command
    .command('prove <event-or-artifact>')
    .description('write a proof that an event, or all that made an artifact, is in the signed history: by id, by path, or by place (p3-17)')
    .option('--project <id>', 'of this project; needed for a place')
    .option('--out <file>', 'write it there (default: standard output)')
    .addHelpText(
      'after',
      '\nExamples:\n  dats audit prove 0199a1b2-... --out proof.json\n  dats audit prove src/parser.ts --project website --out parser.proof.json',
    )
    .action(run(prove));
  command
    .command('check <file>')
    .description('verify a proof, without any server where the key is given')
    .option(...key)
    .option('--artifact <file>', 'is this file the artifact that is proven?')
    .addHelpText('after', '\nExample:\n  dats audit check parser.proof.json --key dats.vkey --artifact src/parser.ts')
    .action(run(check));
  command
    .command('export <project>')
    .description('write the whole history and its verifier to a folder: an outsider needs nothing else')
    .requiredOption('--out <folder>', 'an empty folder, or one that is not there yet')
    .addHelpText('after', '\nExample:\n  dats audit export website --out ./website-history')
    .action(run(exportAll));
};
