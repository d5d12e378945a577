import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from './fifo.js';
import { KeyedQueue } from './keyed-queue.js';

const item = (key: string, id = 0) => ({ key, id });

describe('keyed queue', () => {
  it('gives one item per key at a time, in order of arrival, and loses none', () => {
    const action = fc.oneof(
      fc.record({ push: fc.constantFrom('a', 'b', 'c', 'd') }),
      fc.record({ end: fc.nat(20) }),
      fc.record({ repeat: fc.nat(20) }),
      fc.constant('next' as const),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const queue = new KeyedQueue<{ key: string; id: number }>('key', 1_000);
        const running: { key: string; id: number }[] = [];
        const waiting: { key: string; id: number }[] = [];
        const ended = new Map<string, number[]>();
        let id = 0;
        const start = (): void => {
          const next = queue.next();
          if (next === undefined) return;
          expect(running.some((other) => other.key === next.key)).toBe(false);
          const again = waiting.indexOf(next);
          if (again >= 0) waiting.splice(again, 1);
          else expect(waiting.some((other) => other.key === next.key)).toBe(false);
          running.push(next);
        };
        const end = (at: number): void => {
          const [one] = running.splice(at % running.length, 1);
          queue.done(one!);
          ended.set(one!.key, [...(ended.get(one!.key) ?? []), one!.id]);
        };
        for (const action of actions) {
          if (action === 'next') start();
          else if ('push' in action) queue.push(item(action.push, id++));
          else if (running.length === 0) continue;
          else if ('end' in action) end(action.end);
          else {
            const [one] = running.splice(action.repeat % running.length, 1);
            waiting.push(one!);
            queue.again(one!);
          }
        }
        while (queue.runnable || running.length > 0) {
          while (queue.runnable) start();
          end(0);
        }
        expect([...ended.values()].flat()).toHaveLength(id);
        for (const ids of ended.values()) expect(ids).toEqual([...ids].sort((a, b) => a - b));
        expect([queue.size, queue.keys]).toEqual([0, 0]);
      }),
    );
  });

  it('lets keys take turns', () => {
    const queue = new KeyedQueue('none', 100);
    for (const key of ['a', 'a', 'a', 'a', 'b', 'c']) queue.push(item(key));
    expect(Array.from({ length: 6 }, () => queue.next()?.key)).toEqual(['a', 'b', 'c', 'a', 'a', 'a']);
  });

  it('with ordering partition gives one item at a time over all keys', () => {
    const queue = new KeyedQueue<{ key: string; id: number }>('partition', 100);
    for (const [id, key] of ['a', 'b', 'a'].entries()) queue.push(item(key, id));
    const first = queue.next()!;
    expect([first.id, queue.runnable]).toEqual([0, false]);
    queue.done(first);
    expect(queue.next()?.id).toBe(1);
  });

  it('says how much room it has and refuses more', () => {
    const queue = new KeyedQueue('key', 2);
    queue.push(item('a'));
    queue.push(item('b'));
    expect(queue.room).toBe(0);
    expect(() => queue.push(item('c'))).toThrow(expect.objectContaining({ code: 'queue_full' }));
    queue.done(queue.next()!);
    expect(queue.room).toBe(1);
  });
});

describe('fifo', () => {
  it('is a queue, whatever the mix of pushes and shifts', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 600 }), (pushes) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        for (const [i, push] of pushes.entries()) {
          if (push || i < 150) {
            fifo.push(i);
            model.push(i);
          } else expect(fifo.shift()).toBe(model.shift());
          expect(fifo.size).toBe(model.length);
        }
        while (model.length > 0) expect(fifo.shift()).toBe(model.shift());
        expect(fifo.shift()).toBeUndefined();
      }),
    );
  });
});
