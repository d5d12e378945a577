// `dats schemas`: everything that is said, for editors and for other programs: JSON Schemas, and the events as an AsyncAPI document; and what a schema
// registry has of it.
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asyncApiDocument, envelopeSchema, eventSchemas, Fault, serversJsonSchema, serversSchema } from '../../schemas/index.js';
import type { RegistryOptions, RegistrySchema, SchemaCheck } from '../../streams/kafka/index.js';
import { badUsage, EXIT } from '../exit.js';
import type { Action, Register, Session } from '../session.js';

/** The document of the defaults: what a running node has is at its /asyncapi.json. */
const defaultAsyncApi = async (): Promise<object> => {
  const { VERSION } = await import('../../nodes/index.js');
  return asyncApiDocument({ version: VERSION, partitions: serversSchema.parse({ version: 1 }).log.partitions });
};

const print: Action = async (session, [name]) => {
  const all = new Map<string, () => object | Promise<object>>([
    ['envelope', envelopeSchema],
    ['servers', serversJsonSchema],
    ['asyncapi', defaultAsyncApi],
  ]);
  for (const [id, schema] of eventSchemas()) all.set(id.slice('urn:dats:'.length), () => schema);
  if (name === undefined) {
    session.data([...all.keys()]);
    session.say(...all.keys());
    return EXIT.ok;
  }
  const make = all.get(name);
  if (!make) throw new Fault('terminal', 'bad_usage', `there is no schema "${name}"; dats schemas lists them`);
  const schema = await make();
  session.data(schema);
  session.say(JSON.stringify(schema, null, 2));
  return EXIT.ok;
};

/** The registry that is meant, and the prefix of its subjects. Loaded late: most commands need neither the configuration nor Kafka. */
const registryOf = async (session: Session, options: Readonly<Record<string, unknown>>): Promise<RegistryOptions> => {
  const { loadConfiguration } = await import('../../nodes/index.js');
  const { kafka } = loadConfiguration({ env: session.io.env, cwd: session.io.cwd }).config.log;
  const url = (options['registry'] as string | undefined) ?? kafka.registry_url;
  if (url === undefined)
    throw badUsage('no schema registry is known; give --registry http://127.0.0.1:8081, or set log.kafka.registry_url in servers.yaml');
  return { url, subjectPrefix: (options['prefix'] as string | undefined) ?? kafka.prefix };
};

const push: Action = async (session, _args, options) => {
  const { publishSchemas } = await import('../../streams/kafka/index.js');
  const published = await publishSchemas(await registryOf(session, options));
  session.data(published);
  session.say(
    ...published.map(
      ({ subject, version, id, registered }) => `${subject}  version ${version}  id ${id}  ${registered ? 'registered' : 'unchanged'}`,
    ),
  );
  return EXIT.ok;
};

const WORDS: Readonly<Record<SchemaCheck['outcome'], string>> = {
  published: 'published',
  new: 'not published yet, compatible',
  incompatible: 'INCOMPATIBLE',
  changed: 'CHANGED',
  unchecked: 'NOT CHECKED',
};

const check: Action = async (session, _args, options) => {
  const { checkSchemas } = await import('../../streams/kafka/index.js');
  const checks = await checkSchemas(await registryOf(session, options));
  const problems = checks.flatMap(({ problem }) => problem ?? []);
  session.data({ ok: problems.length === 0, schemas: checks });
  session.say(
    ...checks.map(
      ({ subject, version, outcome, id }) => `${subject}  version ${version}${id === undefined ? '' : `  id ${id}`}  ${WORDS[outcome]}`,
    ),
  );
  if (!session.json) for (const problem of problems) session.io.err(`dats: ${problem}\n`);
  return problems.length === 0 ? EXIT.ok : EXIT.failed;
};

/** What stands in a file of schemas, as the registry would get it; undefined where there is no such file. */
const publishedText = (path: string): string | undefined => {
  try {
    return JSON.stringify(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw badUsage(`cannot read the published schema ${path}; restore it as it was`, cause);
  }
};

const write: Action = async (session, _args, options) => {
  const { publishedName, registrySchemas } = await import('../../streams/kafka/index.js');
  const out = session.path(options['out'] as string);
  await mkdir(out, { recursive: true });
  const there = new Set(readdirSync(out));
  const pathOf = (schema: RegistrySchema) => join(out, publishedName(schema));
  const schemas = registrySchemas();
  const changed = schemas.find((schema) => there.has(publishedName(schema)) && publishedText(pathOf(schema)) !== schema.text);
  if (changed !== undefined)
    throw badUsage(
      `${pathOf(changed)} says something else than the code: a published version is never changed. Restore version ${changed.version} of ${changed.type} ` +
        `in EVENTS of schemas/registry.ts, and give the type a new version with the change`,
    );
  const added = schemas.filter((schema) => !there.has(publishedName(schema)));
  for (const schema of added) {
    const half = `${pathOf(schema)}.tmp`;
    await writeFile(
      half,
      `${JSON.stringify(JSON.parse(schema.text), null, 2)}
`,
    );
    await rename(half, pathOf(schema));
  }
  session.data({ out, added: added.map(publishedName) });
  session.say(...added.map((schema) => `added ${publishedName(schema)}`), `${schemas.length - added.length} were there`);
  return EXIT.ok;
};

export const schemas: Register = (program, run) => {
  const command = program
    .command('schemas [name]')
    .description(
      'print JSON Schema 2020-12: of an event type and version, of the envelope, or of servers.yaml; "asyncapi": all events as an AsyncAPI 3 document; without a name, list them',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  dats schemas\n  dats schemas task.created:1\n  dats schemas servers > servers.schema.json\n  dats schemas asyncapi > asyncapi.json\n  dats schemas check --registry http://127.0.0.1:8081',
    )
    .action(run(print));
  const atRegistry = (name: string, description: string, action: Action) =>
    command
      .command(name)
      .description(description)
      .option('--registry <url>', 'Confluent-compatible schema registry (default: log.kafka.registry_url of servers.yaml)')
      .option('--prefix <text>', 'before every subject (default: log.kafka.prefix of servers.yaml)')
      .action(run(action));
  atRegistry('push', 'register every version of every event type that the registry does not have', push);
  atRegistry('check', 'would the registry take them? Publishes nothing; exits 1 when not', check);
  command
    .command('export')
    .description('write the JSON Schema of every event version to a folder; files that are there are checked, never changed')
    .requiredOption('--out <folder>', 'the folder, such as schemas/published')
    .action(run(write));
};
