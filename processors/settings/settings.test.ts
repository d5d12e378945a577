import { afterEach, describe, expect, it } from 'vitest';
import { CONFIG, CONFIG_LOG_KEY, Fault } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { MemoryStore, openMemoryLog } from '../../streams/memory/index.js';
import { openSettings, outcomeOf, type Settings } from './settings.js';
import { appendChange, BASE, SERVERS, versionOfKey } from './testing/index.js';

const never = new AbortController().signal;
const scheduling = (max: number) => ({ ...SERVERS.scheduling, max_running_per_project: max });
const opened: Settings[] = [];
const logs: Log[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((settings) => settings.close()));
  await Promise.all(logs.splice(0).map((log) => log.close()));
});

const openLog = (store = new MemoryStore()): Log => {
  const log = openMemoryLog({ partitions: 4, store });
  logs.push(log);
  return log;
};
const settingsOn = (log: Pick<Log, 'partitions' | 'range' | 'read'>, problems: Fault[] = []): Settings => {
  const settings = openSettings({ log, base: BASE, onProblem: (fault) => problems.push(fault) });
  opened.push(settings);
  return settings;
};

describe('settings', () => {
  it('are ready when everything that was there is read', async () => {
    const log = openLog();
    await appendChange(log, versionOfKey('scheduling', 1, scheduling(1)));
    await appendChange(log, versionOfKey('scheduling', 2, scheduling(2)));
    const settings = settingsOn(log);
    expect(settings.isReady()).toBe(false);
    await settings.ready;
    expect([settings.current().version, settings.current().scheduling.max_running_per_project]).toEqual(['d1+2', 2]);
  });

  it('follow what others append, and tell whoever listens', async () => {
    const store = new MemoryStore();
    const settings = settingsOn(openLog(store));
    const told: unknown[] = [];
    const end = settings.onChange(({ key, version }, { version: whole }) => told.push([key, version, whole]));
    await settings.ready;
    const other = openLog(store);
    await appendChange(other, versionOfKey('flags', 1, { hedging: false, openai_endpoint: true }));
    await settings.caughtUp(never);
    end();
    await appendChange(other, versionOfKey('flags', 2, null));
    await settings.caughtUp(never);
    expect(told).toEqual([['flags', 1, 'd1+1']]);
    expect(settings.current().flags).toEqual(SERVERS.flags);
  });

  it('say which of two changes at once counted', async () => {
    const log = openLog();
    const settings = settingsOn(log);
    const ids = await Promise.all([1, 2].map((max) => appendChange(log, versionOfKey('scheduling', 1, scheduling(max)))));
    await settings.caughtUp(never);
    expect(ids.map((id) => outcomeOf(settings.registry(), { id, key: 'scheduling', version: 1 })?.id)).toEqual([ids[0], undefined]);
    expect(settings.current().scheduling.max_running_per_project).toBe(1);
  });

  it('answer what held under the version of an event', async () => {
    const log = openLog();
    for (const max of [1, 2, 3]) await appendChange(log, versionOfKey('scheduling', max, scheduling(max)));
    const settings = settingsOn(log);
    await settings.ready;
    const maxOf = (version: string) => settings.under(version).scheduling.max_running_per_project;
    expect(['d1', 'd1+1', 'd1+2', 'd1+3', 'other+2', 'd1+99'].map(maxOf)).toEqual([10, 1, 2, 3, 2, 3]);
    expect(settings.under('d1+2')).toBe(settings.under('d1+2'));
  });

  it('wait for a version that an event names and that is on its way', async () => {
    const log = openLog();
    const settings = settingsOn(log);
    await settings.ready;
    expect(settings.known('d1')).toBeUndefined();
    const known = settings.known('d1+1');
    await appendChange(log, versionOfKey('scheduling', 1, scheduling(1)));
    await known;
    expect(settings.current().version).toBe('d1+1');
    expect(settings.known('d1+1')).toBeUndefined();
  });

  it('wait no longer for a version than whoever asks', async () => {
    const settings = settingsOn(openLog());
    const stop = new AbortController();
    const known = settings.known('d1+5', stop.signal);
    stop.abort();
    await known;
    expect(settings.known('d1+5')).toBeInstanceOf(Promise);
  });

  it('give the text of any version of a prompt', async () => {
    const log = openLog();
    await appendChange(log, versionOfKey('prompts.generate', 1, { system: 'one' }));
    await appendChange(log, versionOfKey('prompts.generate', 2, null));
    const settings = settingsOn(log);
    await settings.ready;
    expect([1, 2, 3].map((version) => settings.promptOf('generate', version))).toEqual(['one', undefined, undefined]);
    expect(settings.promptOf('analyse', 1)).toBeUndefined();
  });

  it('tell of what they cannot read or use, and go on', async () => {
    const log = openLog();
    await log.append([{ topic: CONFIG, key: CONFIG_LOG_KEY, headers: {}, value: 'junk' }]);
    await appendChange(log, versionOfKey('teleport', 1, {}));
    await appendChange(log, versionOfKey('flags', 1, { teleport: true }));
    await appendChange(log, versionOfKey('scheduling', 1, scheduling(1)));
    const problems: Fault[] = [];
    const settings = settingsOn(log, problems);
    await settings.ready;
    expect(problems.map(({ code }) => code)).toEqual(['not_an_event', 'setting_unknown', 'setting_unknown']);
    expect(settings.current()).toMatchObject({ version: 'd1+3', flags: SERVERS.flags, scheduling: scheduling(1) });
  });

  it('wait for a log that is away, and go on where they were when it fails', async () => {
    const log = openLog();
    await appendChange(log, versionOfKey('scheduling', 1, scheduling(1)));
    const away = () => new Fault('retryable', 'log_unavailable', 'away');
    let failures = 2;
    let reads = 0;
    const flaky: Pick<Log, 'partitions' | 'range' | 'read'> = {
      partitions: (topic) => log.partitions(topic),
      range: (topic, partition) => (failures-- > 0 ? Promise.reject(away()) : log.range(topic, partition)),
      read: async function* (from, signal, options) {
        for await (const batch of log.read(from, signal, options)) {
          yield batch;
          if (++reads === 2) throw away();
        }
      },
    };
    const problems: Fault[] = [];
    const settings = settingsOn(flaky, problems);
    await settings.ready;
    await appendChange(log, versionOfKey('scheduling', 2, scheduling(2)));
    await settings.caughtUp(never);
    await appendChange(log, versionOfKey('scheduling', 3, scheduling(3)));
    await settings.caughtUp(never);
    expect(settings.registry().changes.map(({ version }) => version)).toEqual([1, 2, 3]);
    expect(problems.map(({ code }) => code)).toEqual(['log_unavailable', 'log_unavailable', 'log_unavailable']);
  });
});
