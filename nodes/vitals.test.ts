import { describe, expect, it } from 'vitest';
import { Fault, LIFECYCLE, nodeVitalsSchema } from '../schemas/index.js';
import { openVitals, type VitalsOptions } from './vitals.js';

const READING = {
  uptime_s: 12.5,
  cpu_ratio: 1.25,
  load_1m: 0.5,
  rss_bytes: 100,
  memory_free_bytes: 200,
  memory_total_bytes: 300,
  loop_delay_p99_ms: 4,
};
const GPU = { index: 0, name: 'NVIDIA H100', utilisation_ratio: 0.5, memory_used_bytes: 1, memory_total_bytes: 2, temperature_c: 41 };
const STATUS = { provider: 'p', runner: 'ollama', scripted: false, fallback: false, tiers: [], domains: [], running: 0 } as const;

const open = (over: Partial<VitalsOptions> = {}) => {
  let looked = 0;
  const problems: unknown[] = [];
  const vitals = openVitals({
    log: {
      lag: async (group) => {
        looked++;
        return [0, 1].map((partition) => ({
          topic: LIFECYCLE,
          partition,
          committed: 0,
          end: 3,
          lag: group === 'core' ? 3 : 0,
          owner: undefined,
        }));
      },
    },
    models: {
      status: async () => [
        { ...STATUS, id: 'a', health: { ok: true, latency_ms: 1 }, features: { loaded: true } as never },
        { ...STATUS, id: 'b', health: { ok: false, latency_ms: 1, detail: 'away' } },
      ],
    },
    groups: [{ group: 'core', topics: [LIFECYCLE] }],
    admission: () => 'open',
    runningWork: () => 2,
    onProblem: (error) => problems.push(error),
    readings: () => ({ read: () => READING, close: () => {} }),
    gpus: { read: async () => [GPU], close: () => {} },
    ...over,
  });
  return { vitals, problems, looked: () => looked };
};

describe('how a node is', () => {
  it('is its machine, its graphics processors, its models and what waits', async () => {
    const { loop_delay_p99_ms: _, ...reading } = READING;
    const read = await open().vitals.read();
    expect(nodeVitalsSchema.parse(read)).toEqual({
      ...reading,
      admission: 'open',
      gpus: [GPU],
      models: [
        { id: 'a', ok: true, loaded: true },
        { id: 'b', ok: false },
      ],
      lag: { core: 6 },
      running_work: 2,
    });
  });

  it('says that there is no graphics processor where there is none', async () => {
    expect((await open({ gpus: { read: async () => [], close: () => {} } }).vitals.read()).gpus).toEqual([]);
  });

  it('is looked at once by all who ask within a moment, but whether it takes work each time', async () => {
    let at = 0;
    let admission: 'open' | 'cordoned' = 'open';
    const { vitals, looked } = open({ now: () => at, admission: () => admission });
    await Promise.all([vitals.read(), vitals.read()]);
    admission = 'cordoned';
    expect(await vitals.read()).toMatchObject({ admission: 'cordoned' });
    expect(looked()).toBe(1);
    at = 2_001;
    await vitals.read();
    expect(looked()).toBe(2);
  });

  it('is told without what cannot be asked', async () => {
    const down = async () => Promise.reject(new Fault('retryable', 'log_unavailable', 'away'));
    const { vitals, problems } = open({ log: { lag: down } });
    expect((await vitals.read()).lag).toEqual({});
    expect(problems).toHaveLength(1);
  });
});
