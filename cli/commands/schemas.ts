// `dats schemas`: JSON Schema of everything that is said, for editors and for other programs.

import { envelopeSchema, eventSchemas, Fault, serversJsonSchema } from '../../schemas/index.js';
import { EXIT } from '../exit.js';
import type { Register } from '../session.js';

export const schemas: Register = (program, run) => {
  program
    .command('schemas [name]')
    .description('print JSON Schema 2020-12: of an event type and version, of the envelope, or of servers.yaml; without a name, list them')
    .addHelpText('after', '\nExamples:\n  dats schemas\n  dats schemas task.created:1\n  dats schemas servers > servers.schema.json')
    .action(
      run(async (session, [name]) => {
        const all = new Map<string, object>([
          ['envelope', envelopeSchema()],
          ['servers', serversJsonSchema()],
        ]);
        for (const [id, schema] of eventSchemas()) all.set(id.slice('urn:dats:'.length), schema);
        if (name === undefined) {
          session.data([...all.keys()]);
          session.say(...all.keys());
          return EXIT.ok;
        }
        const schema = all.get(name);
        if (!schema) throw new Fault('terminal', 'bad_usage', `there is no schema "${name}"; dats schemas lists them`);
        session.data(schema);
        session.say(JSON.stringify(schema, null, 2));
        return EXIT.ok;
      }),
    );
};
