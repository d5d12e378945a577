import pino from 'pino';
import { expect, it } from 'vitest';
import { openSettings } from '../processors/settings/index.js';
import { appendChange, BASE, SERVERS, versionOfKey } from '../processors/settings/testing/index.js';
import { CONFIG } from '../schemas/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import { isReadyFor, openNodeSettings } from './settings.js';

it('a process starts with what was changed before, and tells of what is changed then', async () => {
  const log = openMemoryLog({ partitions: 2 });
  await appendChange(log, versionOfKey('flags', 1, { hedging: false, openai_endpoint: true }));
  const lines: string[] = [];
  const logger = pino({ base: null, timestamp: false }, { write: (line) => void lines.push(line) });
  const settings = await openNodeSettings({ log, config: SERVERS, digest: 'd', logger, onProblem: () => undefined });
  expect(settings.current()).toMatchObject({ version: 'd+1', flags: { hedging: false } });
  await appendChange(log, versionOfKey('flags', 2, null));
  await settings.caughtUp(new AbortController().signal);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: 30, config_version: 'd+1', msg: 'settings were changed since servers.yaml' },
    { level: 30, key: 'flags', version: 2, by: 'test', config_version: 'd+2', msg: 'a setting was changed' },
  ]);
  await settings.close();
  await log.close();
});

it('no partition is served before the registry was read, and none that is given up meanwhile (N2)', async () => {
  const log = openMemoryLog({ partitions: 2 });
  let answer!: () => void;
  const away = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const late = {
    partitions: log.partitions.bind(log),
    read: log.read.bind(log),
    range: () => away.then(() => log.range(CONFIG, 0)),
  };
  const settings = openSettings({ log: late, base: BASE, onProblem: () => undefined });
  const revoked = new AbortController();
  const given = isReadyFor(settings, revoked.signal);
  const served = isReadyFor(settings, new AbortController().signal);
  revoked.abort();
  expect(await given).toBe(false);
  answer();
  expect(await served).toBe(true);
  expect(await isReadyFor(settings, new AbortController().signal)).toBe(true);
  await settings.close();
  await log.close();
});
