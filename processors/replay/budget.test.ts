import { describe, expect, it } from 'vitest';
import { openBudget } from './budget.js';

const opened = (max: number, spent = 0) => {
  const said: number[] = [];
  return { said, budget: openBudget({ max, spent, say: async (calls) => void said.push(calls) }) };
};

describe('a budget of calls', () => {
  it('is said ten at a time before they are made, and never above its maximum', async () => {
    const { said, budget } = opened(25);
    const saidBefore: number[] = [];
    await Promise.all(Array.from({ length: 25 }, () => budget.take()!.then(() => saidBefore.push(said.at(-1)!))));
    expect(said).toEqual([10, 20, 25]);
    expect(saidBefore.map((calls, i) => calls > i)).toEqual(Array(25).fill(true));
    expect(budget.take()).toBeUndefined();
  });

  it('goes on after what earlier runs said', async () => {
    const { said, budget } = opened(25, 20);
    await Promise.all(Array.from({ length: 5 }, () => budget.take()!));
    expect([said, budget.take()]).toEqual([[25], undefined]);
    expect(opened(25, 25).budget.take()).toBeUndefined();
  });

  it('allows nothing where it cannot be said', async () => {
    const budget = openBudget({ max: 5, spent: 0, say: () => Promise.reject(new Error('the log is away')) });
    await expect(budget.take()).rejects.toThrow('away');
    await expect(budget.take()).rejects.toThrow('away');
  });
});
