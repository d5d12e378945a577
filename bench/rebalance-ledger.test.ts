import { describe, expect, test } from 'vitest';
import { isSettled, Ledger, verdictOf } from './rebalance-ledger.js';

describe('a group has settled', () => {
  test('when every partition has one owner, evenly', () => {
    expect(isSettled([[0, 1], [2]], 3)).toBe(true);
  });

  test('not while a partition has no owner, or two', () => {
    expect(isSettled([[0, 1], [2]], 4)).toBe(false);
    expect(isSettled([[0, 1], [1]], 3)).toBe(false);
    expect(
      isSettled(
        [
          [0, 1],
          [1, 2],
        ],
        4,
      ),
    ).toBe(false);
  });

  test('not while a member has two more than another, or a newcomer none', () => {
    expect(isSettled([[0, 1, 2], [3]], 4)).toBe(false);
    expect(isSettled([[0, 1, 2, 3], []], 4)).toBe(false);
  });
});

describe('the ledger', () => {
  test('says that work goes on only when every partition answered a question that came later', () => {
    const ledger = new Ledger(2);
    ledger.appended('0-0', 10);
    ledger.appended('1-0', 10);
    ledger.answered('0-0', 12);
    ledger.answered('1-0', 30);
    expect(ledger.answersSince(9)).toBe(true);
    expect(ledger.answersSince(10)).toBe(false);
    ledger.appended('0-1', 40);
    ledger.answered('0-1', 41);
    expect(ledger.answersSince(20)).toBe(false);
  });

  test('takes an answer that was read before its question was acknowledged', () => {
    const ledger = new Ledger(1);
    ledger.answered('0-0', 15);
    expect(ledger.answersSince(0)).toBe(false);
    ledger.appended('0-0', 10);
    expect(ledger.answersSince(9)).toBe(true);
    expect(ledger.complete).toBe(true);
    expect(ledger.takeLongest()).toBe(5);
  });

  test('is complete when every acknowledged question has its answer', () => {
    const ledger = new Ledger(1);
    ledger.appended('0-0', 1);
    ledger.appended('0-1', 1);
    ledger.answered('0-1', 2);
    expect(ledger.complete).toBe(false);
    ledger.answered('0-0', 3);
    expect(ledger.complete).toBe(true);
  });

  test('is not made complete by a second answer, or by the answer to a question that was never acknowledged', () => {
    const ledger = new Ledger(1);
    ledger.appended('0-0', 1);
    ledger.appended('0-1', 1);
    ledger.answered('0-1', 2);
    ledger.answered('0-1', 3);
    ledger.answered('0-7', 3);
    expect(ledger.complete).toBe(false);
  });

  test('tells the longest wait since it was asked last', () => {
    const ledger = new Ledger(1);
    ledger.appended('0-0', 1);
    ledger.answered('0-0', 9);
    expect(ledger.takeLongest()).toBe(8);
    ledger.appended('0-1', 10);
    ledger.answered('0-1', 12);
    expect(ledger.takeLongest()).toBe(2);
  });
});

describe('the verdict', () => {
  test('is clean when every question has one answer', () => {
    expect(verdictOf(['0-0'], ['0-0', '0-1'], ['0-1', '0-0'])).toEqual({ lost: 0, doubled: 0 });
  });

  test('counts questions without an answer, and acknowledged ones that are gone', () => {
    expect(verdictOf(['0-0', '0-2'], ['0-0', '0-1'], ['0-0'])).toEqual({ lost: 2, doubled: 0 });
  });

  test('counts second answers, and answers to nothing', () => {
    expect(verdictOf([], ['0-0'], ['0-0', '0-0', '0-9'])).toEqual({ lost: 0, doubled: 2 });
  });
});
