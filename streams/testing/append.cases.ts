// Contract: append, and what becomes visible of it (L1, L2).
import { expect } from 'vitest';
import { DLQ, isFault, LIFECYCLE, TELEMETRY } from '../../schemas/index.js';
import type { Outgoing } from '../log.js';
import { keyIn, plain, readAll, record, text } from './log-driver.js';
import { type Case, PARTITIONS } from './log-harness.js';

export const appendCases: readonly Case[] = [
  [
    'records of a partition keep their order, and their offsets only rise',
    async ({ open }) => {
      const log = await open();
      const positions = (await Promise.all(Array.from({ length: 50 }, (_, i) => log.append([record(`a${i}`), record(`b${i}`)])))).flat();
      const { partition } = positions[0]!;
      const read = await readAll(log, LIFECYCLE, partition);
      expect(read.map((r) => r.type)).toEqual(Array.from({ length: 50 }, (_, i) => [`a${i}`, `b${i}`]).flat());
      expect(read.map((r) => r.offset)).toEqual(positions.map((p) => p.offset));
      for (let i = 1; i < read.length; i++) expect(read[i]!.offset).toBeGreaterThan(read[i - 1]!.offset);
    },
  ],
  [
    'one append goes to several topics and partitions, and says where',
    async ({ open }) => {
      const log = await open();
      const keys = [0, 1, 2, 3].map((partition) => keyIn(partition, PARTITIONS));
      const records = [
        ...keys.map((key) => record('x', { key })),
        record('t', { topic: TELEMETRY, key: keys[2]! }),
        record('d', { topic: DLQ, key: keys[0]! }),
      ];
      const positions = await log.append(records);
      expect(positions.map((p) => [p.topic, p.partition])).toEqual([
        [LIFECYCLE, 0],
        [LIFECYCLE, 1],
        [LIFECYCLE, 2],
        [LIFECYCLE, 3],
        [TELEMETRY, 2],
        [DLQ, 0],
      ]);
      for (const [i, position] of positions.entries()) expect((await log.get(position))?.key).toBe(records[i]!.key);
    },
  ],
  [
    'a record comes back byte for byte: unicode, binary and empty',
    async ({ open }) => {
      const writer = await open();
      const binary = Uint8Array.from({ length: 256 }, (_, i) => i);
      const sent: Outgoing[] = [
        record('a', { key: 'schlüssel-日本語-😀', value: 'größe 漢字 🚀', headers: { ü: 'ñ 中文', quoted: '"\\\n' } }),
        record('b', { key: 'schlüssel-日本語-😀', value: binary }),
        record('c', { key: 'schlüssel-日本語-😀', value: '' }),
        { topic: LIFECYCLE, key: 'schlüssel-日本語-😀', headers: {}, value: new Uint8Array(0) },
        { topic: LIFECYCLE, key: '', headers: { other: 'x' }, value: 'empty key' },
      ];
      const positions = await writer.append(sent);
      await writer.close();
      const reader = await open();
      for (const [i, position] of positions.entries()) {
        const got = (await reader.get(position))!;
        expect(Buffer.from(got.value as Uint8Array)).toEqual(Buffer.from(sent[i]!.value as Uint8Array));
        expect({ ...got.headers }).toEqual(sent[i]!.headers);
        expect(got.key).toBe(sent[i]!.key);
        expect(got.type).toBe(sent[i]!.headers.type ?? '');
        expect(Math.abs(Date.now() - got.timestamp)).toBeLessThan(60_000);
      }
    },
  ],
  [
    'an empty append does nothing',
    async ({ open }) => {
      const log = await open();
      expect(await log.append([])).toEqual([]);
      for (let partition = 0; partition < PARTITIONS; partition++)
        expect(await log.range(LIFECYCLE, partition)).toEqual({ first: 0, end: 0 });
    },
  ],
  [
    'large records come back whole, between small ones',
    async ({ open }) => {
      const log = await open();
      const large = 'é'.repeat(2_000_000);
      const positions = await log.append([
        record('small'),
        record('large', { value: large }),
        record('after'),
        record('bytes', { value: new Uint8Array(3_000_000).fill(7) }),
      ]);
      const read = await readAll(log, LIFECYCLE, positions[0]!.partition);
      expect(read.map((r) => r.type)).toEqual(['small', 'large', 'after', 'bytes']);
      expect(text(read[1]!.value) === large).toBe(true);
      expect(Buffer.from(read[3]!.value as Uint8Array).equals(Buffer.alloc(3_000_000, 7))).toBe(true);
    },
  ],
  [
    'a record above the limit is refused and nothing of its append is written',
    async ({ open }) => {
      const log = await open();
      const fault = await log
        .append([record('fine'), record('huge', { value: new Uint8Array(8 * 1024 * 1024 + 1) })])
        .catch((error: unknown) => error);
      expect(isFault(fault, 'terminal') && fault.code).toBe('record_too_large');
      const [position] = await log.append([record('next')]);
      expect((await readAll(log, LIFECYCLE, position!.partition)).map((r) => r.type)).toEqual(['next']);
    },
  ],
  [
    'get knows nothing before the first and after the last record',
    async ({ open }) => {
      const log = await open();
      const [position] = await log.append([record('only')]);
      expect(plain((await log.get(position!))!)).toMatchObject({ type: 'only', value: 'value of only' });
      expect(await log.get({ ...position!, offset: position!.offset + 1 })).toBeUndefined();
      expect(await log.get({ ...position!, offset: 1_000_000 })).toBeUndefined();
    },
  ],
  [
    'closing twice is fine, and a closed log refuses work',
    async ({ open }) => {
      const log = await open();
      await log.append([record('x')]);
      await Promise.all([log.close(), log.close()]);
      await log.close();
      const fault = await log.append([record('y')]).catch((error: unknown) => error);
      expect(isFault(fault, 'fatal') && fault.code).toBe('log_closed');
      expect((await log.health()).ok).toBe(false);
      await expect(log.join('g', [LIFECYCLE], async () => undefined)).rejects.toMatchObject({ code: 'log_closed' });
    },
  ],
  [
    'appends that are pending at close are either written or refused, never lost',
    async ({ open }) => {
      const log = await open();
      const pending = Array.from({ length: 200 }, (_, i) => log.append([record(`p${i}`)]));
      await log.close();
      const outcomes = await Promise.allSettled(pending);
      const kept = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [`p${i}`] : []));
      const again = await open();
      const all = await Promise.all([0, 1, 2, 3].map((partition) => readAll(again, LIFECYCLE, partition)));
      expect(all.flat().map((r) => r.type)).toEqual(kept);
      for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'log_closed' });
    },
  ],
];
