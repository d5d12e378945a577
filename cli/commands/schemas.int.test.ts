// `dats schemas push` and `check` at a real registry.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registrySchemas } from '../../streams/kafka/index.js';
import { askRegistry, registerText, removeSubjects, subjectPrefix, subjectsUnder } from '../../streams/kafka/testing/registry.js';
import { testRegistry } from '../../streams/kafka/testing/servers.js';
import { describeWith } from '../../streams/testing/servers.js';
import { runCli } from '../program.js';
import { keepIo } from '../testing.js';

const SCHEMAS = registrySchemas();
let prefix: string;
describeWith(['registry'], 'at a real registry', () => {
  beforeEach(() => {
    prefix = subjectPrefix();
  });
  afterEach(() => removeSubjects(prefix));

  const dats = async (...argv: readonly string[]): Promise<{ code: number; lines: readonly string[]; err: string }> => {
    const io = keepIo({ env: { DATS_LOG_KAFKA_REGISTRY_URL: testRegistry(), DATS_LOG_KAFKA_PREFIX: prefix } });
    const code = await runCli(argv, io, { loadStartNode: () => Promise.reject(new Error('schemas starts no node')) });
    return { code, lines: io.printed.out.trim().split('\n'), err: io.printed.err };
  };

  describe('dats schemas', () => {
    it('push registers what is missing, one line each, then finds it unchanged under the same ids; check publishes nothing', async () => {
      const before = await dats('schemas', 'check');
      expect([before.code, before.err, before.lines.length]).toEqual([0, '', SCHEMAS.length]);
      expect(before.lines[0]).toBe(`${prefix}dats.task.created  version 1  not published yet, compatible`);
      expect(await subjectsUnder(prefix)).toEqual([]);

      const first = await dats('schemas', 'push');
      expect([first.code, first.err]).toEqual([0, '']);
      const { id } = (await askRegistry(`/subjects/${prefix}dats.task.created/versions/1`)).body as { id: number };
      expect(first.lines[0]).toBe(`${prefix}dats.task.created  version 1  id ${id}  registered`);
      expect((await dats('schemas', 'push')).lines).toEqual(first.lines.map((line) => line.replace(/registered$/, 'unchanged')));
      expect((await dats('schemas', 'check')).lines).toEqual(first.lines.map((line) => line.replace(/registered$/, 'published')));
    });

    it('check names what is incompatible, says what to do, and exits 1; push refuses it', async () => {
      const subject = `${prefix}dats.task.started`;
      const other = {
        $schema: 'http://json-schema.org/draft-07/schema#',
        $id: 'urn:dats:task.started:0',
        type: 'object',
        properties: { task_id: { type: 'number' } },
      };
      await askRegistry(`/config/${subject}`, 'PUT', { compatibility: 'BACKWARD_TRANSITIVE' });
      await registerText(subject, JSON.stringify(other));
      const { code, lines, err } = await dats('schemas', 'check');
      expect([code, lines.filter((line) => line.includes('INCOMPATIBLE'))]).toEqual([1, [`${subject}  version 1  INCOMPATIBLE`]]);
      expect(err).toMatch(
        /^dats: version 1 of dats\.task\.started is not compatible with version 1 of subject .*add optional properties only/,
      );
      expect(await dats('schemas', 'push')).toMatchObject({
        code: 1,
        lines: [''],
        err: expect.stringMatching(/refuses a new version of .*task\.started/),
      });
    });
  });
});
