import { afterEach, describe, expect, it } from 'vitest';
import { type AsyncApi, asyncApiDocument, LIFECYCLE } from '../../schemas/index.js';
import { openWorld, type World } from '../testing/world.js';

let world: World;
afterEach(() => world.close());

describe('GET /asyncapi.json', () => {
  it('is the document of this gateway: its version, the partitions of its log', async () => {
    world = await openWorld({ config: { version: 1, log: { kind: 'memory', partitions: 3 } } });
    const { version, log } = world.deps;
    const response = await world.app.request('/asyncapi.json');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
    const document = (await response.json()) as AsyncApi;
    expect(document).toEqual(asyncApiDocument({ version, partitions: log.partitions(LIFECYCLE) }));
    expect(document.channels['dats.lifecycle']).toMatchObject({ bindings: { kafka: { partitions: 3 } } });
    expect(document.info).toMatchObject({ version });
  });

  it('answers the same every time, and is where GET / says it is', async () => {
    world = await openWorld();
    const [first, second] = await Promise.all([1, 2].map(async () => (await world.app.request('/asyncapi.json')).text()));
    expect(second).toBe(first);
    expect(await (await world.app.request('/')).text()).toContain('/asyncapi.json');
  });
});
