// A core that has no model of its own but a placeholder, and an edge node that lends it one: the work stays at the core, the call goes to the edge node, and comes back
// to the core when that is killed in the middle.
import { afterEach, describe, expect, it } from 'vitest';
import { type CallSummary, type EventOf, LIFECYCLE } from '../schemas/index.js';
import { eventually } from './support/eventually.js';
import { type LinkedNode, openLinkedNodes } from './support/linked-nodes.js';
import { cleanUp } from './support/node-process.js';

const LIMIT_MS = 60_000;
const answer = (text: string) => `\`\`\`markdown path=answer.md\n${text}\n\`\`\``;
const SCRIPT = JSON.stringify({
  version: 1,
  rules: [
    // Some four seconds.
    { match: { task: 'long' }, answers: [{ text: answer('word '.repeat(200)), chunk_chars: 10, chunk_latency_ms: 40 }] },
    { match: {}, answers: [{ text: answer('short') }] },
  ],
});
const CONFIG = {
  models: [
    { id: 'lab', node: 'edge-1', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], preference: 10 },
    { id: 'backup', runner: 'scripted', tiers: ['small', 'medium', 'large'], preference: 100 },
  ],
  access: { confidential_nodes: ['core'] },
  link: { flush_ms: 20, retry_max_ms: 500 },
  scheduling: { backoff_base_ms: 20 },
};

interface Model {
  readonly id: string;
  readonly health: { readonly ok: boolean };
  readonly running: number;
}
type Output = EventOf<'dats.task.output.created'>;

afterEach(cleanUp);

const started = async (coreRoles?: readonly string[]): Promise<readonly [core: LinkedNode, edge: LinkedNode]> => {
  const shared = { edges: ['edge-1'], config: CONFIG, script: SCRIPT, partitions: 1 };
  const [core, edge] = await openLinkedNodes(coreRoles === undefined ? shared : { ...shared, coreRoles });
  await Promise.all([core!.start(), edge!.start()]);
  return [core!, edge!];
};
const lab = async (core: LinkedNode): Promise<Model> => {
  const { body } = await core.api.ask<{ models: readonly Model[] }>('GET', '/api/v1/models');
  return body.models.find(({ id }) => id === 'lab')!;
};
const lent = (core: LinkedNode) => eventually('the model of the edge node at the core', LIMIT_MS, async () => (await lab(core)).health.ok);
const submit = (core: LinkedNode, description: string, options: object = {}) =>
  core.api.submitted({ project_id: 'web', description, options: { qa_profile: 'none', ...options } });
const done = (core: LinkedNode, task: string) =>
  eventually(`the end of ${task}`, LIMIT_MS, async () => {
    const { body } = await core.api.ask<{ state: string; model: string }>('GET', `/api/v1/tasks/${task}`);
    return ['completed', 'failed'].includes(body.state) && body;
  });
const callsOf = (calls: readonly CallSummary[] = []) => calls.map(({ model, outcome, error_type }) => [model, outcome, error_type]);

describe('a model that an edge node lends', () => {
  it('answers for the core; killed in the middle, another one does, and the record shows both; back again, it answers again', async () => {
    const [core, edge] = await started();
    await lent(core);
    expect(await done(core, await submit(core, 'quick'))).toMatchObject({ state: 'completed', model: 'lab' });

    const long = await submit(core, 'long');
    await eventually('the call', LIMIT_MS, async () => (await lab(core)).running === 1);
    await edge.kill();
    expect(await done(core, long)).toMatchObject({ state: 'completed', model: 'backup' });

    await edge.start();
    await lent(core);
    expect(await done(core, await submit(core, 'quick again'))).toMatchObject({ state: 'completed', model: 'lab' });

    await core.stop();
    const outputs = (await core.lifecycle()).filter(({ type }) => type === 'dats.task.output.created');
    const of = outputs.map(({ headers, value }) => ({ subject: headers['subject'], data: JSON.parse(String(value)) as Output['data'] }));
    expect(callsOf(of.find(({ subject }) => subject === long)!.data.calls)).toEqual([
      ['lab', 'error', 'model_unreachable'],
      ['backup', 'ok', undefined],
    ]);
    await edge.stop();
    // The work was the core's: nothing of it stands in the log of the edge node.
    expect((await edge.lifecycle()).filter(({ topic, key }) => topic === LIFECYCLE && key === 'web')).toEqual([]);
  }, 180_000);

  it('answers for a worker in another process of the core than the one that it comes to; killed in the middle, another model does', async () => {
    const [core, edge] = await started(['gateway,deciders', 'workers']);
    await lent(core);
    expect(await done(core, await submit(core, 'quick'))).toMatchObject({ state: 'completed', model: 'lab' });
    const long = await submit(core, 'long');
    await eventually('the call at the edge node', LIMIT_MS, async () => (await lab(edge)).running === 1);
    await edge.kill();
    expect(await done(core, long)).toMatchObject({ state: 'completed', model: 'backup' });
  }, 180_000);

  it('is not asked for what is confidential, where a policy names other nodes', async () => {
    const [core] = await started();
    await lent(core);
    expect(await done(core, await submit(core, 'secret', { confidentiality: 'confidential' }))).toMatchObject({
      state: 'completed',
      model: 'backup',
    });
    expect(await done(core, await submit(core, 'open'))).toMatchObject({ state: 'completed', model: 'lab' });
  }, 120_000);
});
