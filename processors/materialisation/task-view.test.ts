import { expect, it } from 'vitest';
import type { DataOf, DatsEvent, EventType } from '../../schemas/index.js';
import { eventOf } from '../testing/index.js';
import { creation } from '../testing/pipeline-world.js';
import { projectTask, type TaskDoc } from './task-view.js';

/** The view after these events, at offsets from 0 on. */
const viewOf = (...events: readonly DatsEvent[]): TaskDoc =>
  events.reduce<TaskDoc | undefined>((view, event, offset) => projectTask(view, event, offset), undefined)!;
const said = <T extends EventType>(type: T, data: DataOf<T>): DatsEvent => eventOf(type, data, { subject: 't' }) as unknown as DatsEvent;

const created = said('dats.task.created', creation('t'));
const asking = said('dats.task.queued', { task_id: 't', attempt: 1, reason: 'quota', position: 0, reservation_id: 'r' });
const blocked = (more: object = {}): DatsEvent =>
  said('dats.quota.blocked', {
    reservation_id: 'r',
    task_id: 't',
    attempt: 1,
    subject: { kind: 'user', id: 'ada' },
    limit: 'requests_per_minute',
    asked: 1,
    used: 2,
    allowed: 2,
    ...more,
  });

it('a task under a budget is queued, and says what it waits for', () => {
  expect(viewOf(created, asking)).toMatchObject({ state: 'queued', status: 'pending', waiting_for: 'its budget to be set aside' });
  expect(viewOf(created, asking, blocked({ retry_at: '2026-11-27T00:01:00.000Z' }))).toMatchObject({
    state: 'queued',
    waiting_for: 'its turn: requests_per_minute of user ada is 2; asks again at 2026-11-27T00:01:00.000Z',
  });
  const behind = said('dats.task.queued', { task_id: 't', attempt: 1, reason: 'quota', position: 3 });
  expect(viewOf(created, behind).waiting_for).toBe('its turn under a quota (position 3)');
});

it('a refusal for good is shown by the end that follows it', () => {
  expect(viewOf(created, asking, blocked()).waiting_for).toBe('its budget to be set aside');
  const error = { code: 'budget_exceeded', message: 'used up', retryable: false };
  expect(viewOf(created, asking, blocked(), said('dats.task.failed', { task_id: 't', attempt: 0, error }))).toMatchObject({
    state: 'failed',
    waiting_for: null,
    error,
  });
});
