// `dats attest`: signed attestations of an artifact, or its lineage as W3C PROV; and what a file of attestations is worth, without any server.
//
// T1. A file is written whole or not at all. T2. Attestations that say themselves that the artifact is bad are verified, and yet a failure.
import { readFileSync } from 'node:fs';
import { STANDING_ANNOTATION, type Verified, verifyBundle } from '../../processors/attestation/index.js';
import { LINEAGE_DEPTH_LIMIT, type Statement } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { badUsage, EXIT } from '../exit.js';
import { LOOKING, withServer } from '../offline.js';
import type { Action, Register, Session } from '../session.js';
import { oneOf, wholeNumber } from './options.js';
import { writeWhole } from './out-file.js';
import { artifactOf } from './standing.js';

const FORMATS = ['intoto', 'prov'] as const;

const make: Action = async (session, [what], options) => {
  if (what === undefined) throw badUsage('of what? Give the path of a file, or the id of an artifact; dats artifacts <task> lists them');
  const { format = 'intoto', project, out, depth, tainted } = options as Readonly<Record<string, string | undefined>>;
  const chosen = oneOf('--format', format, FORMATS)!;
  const { signal } = session.io;
  const text = await withServer(session, LOOKING, async (client: DatsClient) => {
    const id = await artifactOf(client, what, project, signal);
    const query = chosen === 'prov' ? { format: chosen, depth } : { format: chosen, tainted: tainted === undefined ? undefined : true };
    const answer = await client.http.send({ path: `/api/v1/provenance/${encodeURIComponent(id)}`, query, signal });
    return answer.text();
  });
  const whole = text.endsWith('\n') ? text : `${text}\n`;
  if (out === undefined) session.io.out(whole);
  else {
    await writeWhole(session.path(out), whole);
    session.data({ file: session.path(out), format: chosen, bytes: Buffer.byteLength(whole) });
    session.say(`written ${out}`);
  }
  return EXIT.ok;
};

const showKey: Action = async (session) => {
  const { signal } = session.io;
  const pem = await withServer(session, LOOKING, async (client) =>
    (await client.http.send({ path: '/api/v1/attestations/key', signal })).text(),
  );
  session.data({ public_key: pem });
  session.say(pem.trimEnd());
  return EXIT.ok;
};

const bytesOf = (session: Session, name: string): Uint8Array => {
  try {
    return readFileSync(session.path(name));
  } catch (cause) {
    throw badUsage(`cannot read ${name}: ${(cause as NodeJS.ErrnoException).code}; check the path`, cause);
  }
};

const statementLines = ({ predicateType, subject }: Statement): readonly string[] =>
  subject.map(({ name, digest }) => `signed  ${predicateType}  ${name ?? '(no name)'}  sha256:${digest['sha256'] ?? '(none)'}`);

const badSubjects = ({ statements }: Verified): readonly string[] => [
  ...new Set(
    statements.flatMap(({ subject }) =>
      subject.filter(({ annotations }) => annotations?.[STANDING_ANNOTATION] !== undefined).map(({ name }) => name ?? ''),
    ),
  ),
];

const verify: Action = async (session, [file], options) => {
  const { key, artifact } = options as { readonly key: string; readonly artifact?: string };
  const seen = verifyBundle(session.read(file!), session.read(key), artifact === undefined ? undefined : bytesOf(session, artifact));
  const isBad = seen.warnings.length > 0;
  session.data({ ok: !isBad, ...seen, artifact_compared: artifact !== undefined });
  session.say(...seen.statements.flatMap(statementLines));
  if (artifact !== undefined) session.say(`${artifact} has the digest that was signed`);
  else session.note('(no file was compared with the digest; give one with --artifact)');
  if (seen.foreign > 0) session.note(`(passed over ${seen.foreign} lines that this key did not sign)`);
  if (isBad && !session.json)
    session.io.err(
      `dats: the signature is good, but the attestation says itself that ${badSubjects(seen).join(', ')} was known to be bad: ${JSON.stringify(seen.warnings[0])}\n`,
    );
  return isBad ? EXIT.failed : EXIT.ok;
};

export const attest: Register = (program, run) => {
  const command = program
    .command('attest [path-or-id]')
    .description('write signed attestations (in-toto, SLSA provenance) of an artifact, or its lineage as W3C PROV')
    .option('--format <format>', `${FORMATS.join(' or ')} (default: ${FORMATS[0]})`)
    .option('--out <file>', 'write them there, such as parser.ts.intoto.jsonl')
    .option('--project <id>', 'of a path: in this project (default: the one that has it)')
    .option('--depth <n>', 'of prov: steps of lineage', wholeNumber(0, LINEAGE_DEPTH_LIMIT), 10)
    .option('--tainted', 'also of what is suspect, tainted or taken back; the attestations then say so')
    .addHelpText(
      'after',
      '\nExamples:\n  dats attest src/parser.ts --out parser.ts.intoto.jsonl\n  dats attest key > dats.pub\n  dats attest verify parser.ts.intoto.jsonl --key dats.pub --artifact src/parser.ts\n  dats attest src/parser.ts --format prov --depth 3',
    )
    .action(run(make));
  command.command('key').description('print the public key, to verify attestations with').action(run(showKey));
  command
    .command('verify <file>')
    .description('check signatures and digests, without any server; exits 1 where anything is wrong')
    .requiredOption('--key <file>', 'the public key, PEM; take it over a way that you trust')
    .option('--artifact <file>', 'compare the digest of this file')
    .action(run(verify));
};
