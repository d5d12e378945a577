import { describe, expect, it } from 'vitest';
import { VERSION } from '../../nodes/index.js';
import { asyncApiDocument, EVENTS, eventSchemas } from '../../schemas/index.js';
import { runCli } from '../program.js';
import { keepIo } from '../testing.js';

const dats = async (...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> => {
  const io = keepIo();
  const loadStartNode = () => Promise.reject(new Error('schemas starts no node'));
  const code = await runCli(argv, io, { loadStartNode });
  return { code, ...io.printed };
};

describe('dats schemas', () => {
  it('lists every name, and prints each of them', async () => {
    const names = (await dats('schemas')).out.trim().split('\n');
    expect(names).toEqual(expect.arrayContaining(['envelope', 'servers', 'asyncapi', 'task.created:1']));
    expect(names.length).toBe(3 + Object.values(EVENTS).flatMap((versions) => Object.keys(versions)).length);
    for (const name of names) {
      const { code, out } = await dats('schemas', name);
      expect([name, code]).toEqual([name, 0]);
      expect(JSON.parse(out)).toBeTypeOf('object');
    }
  });

  it('prints the schema of an event version', async () => {
    expect(JSON.parse((await dats('schemas', 'task.created:1')).out)).toEqual(eventSchemas().get('urn:dats:task.created:1'));
  });

  it('prints the AsyncAPI document of this version and the default partitions, for people and as one line', async () => {
    const expected = asyncApiDocument({ version: VERSION, partitions: 4 });
    const { out } = await dats('schemas', 'asyncapi');
    expect(JSON.parse(out)).toEqual(expected);
    expect((await dats('schemas', 'asyncapi', '--json')).out).toBe(`${JSON.stringify(expected)}\n`);
  });

  it('says how to find a name that is none', async () => {
    expect(await dats('schemas', 'task.exploded:1')).toEqual({
      code: 2,
      out: '',
      err: 'dats: there is no schema "task.exploded:1"; dats schemas lists them\n',
    });
  });
});
