// Limits that every adapter keeps, and the checks of what a caller hands in.
import { DLQ, Fault, type Topic } from '../../schemas/index.js';
import type { Outgoing } from '../log.js';

/** Largest record, key and headers included, in bytes. */
export const RECORD_LIMIT_BYTES = 8 * 1024 * 1024;
/** A dead letter is its record and the reason: what it may have beyond the largest record, in bytes. */
const LETTER_ROOM_BYTES = 64 * 1024;

export const recordLimitBytes = (topic: Topic): number => (topic === DLQ ? RECORD_LIMIT_BYTES + LETTER_ROOM_BYTES : RECORD_LIMIT_BYTES);
/** Records in a batch handed to a reader, unless it asks for another number. */
export const DEFAULT_MAX_BATCH = 1024;
/** How long `leave` and `close` wait for handlers to return before the partitions are given up under them, in milliseconds. */
export const LEAVE_TIMEOUT_MS = 30_000;

export const recordTooLarge = (record: Outgoing, bytes: number): Fault =>
  new Fault(
    'terminal',
    'record_too_large',
    `a record for ${record.topic} has ${bytes} bytes, the limit is ${recordLimitBytes(record.topic)}; put its content into the artifact store and append a reference`,
  );

export const logClosed = (): Fault => new Fault('fatal', 'log_closed', 'the log is closed; open it again before using it');

export const offsetRegression = (where: string, next: number, committed: number): Fault =>
  new Fault(
    'terminal',
    'offset_regression',
    `${where} is committed up to ${committed} and cannot go back to ${next}; commit an offset that is not lower`,
  );

export const offsetBeyondEnd = (where: string, next: number, end: number): Fault =>
  new Fault(
    'terminal',
    'offset_beyond_end',
    `${where} ends at ${end}, so ${next} cannot be committed; commit the offset after the last record that was read`,
  );

export const fencedOff = (where: string, epoch: number): Fault =>
  new Fault('fenced', 'fenced', `${where} has another owner than the one of epoch ${epoch}; drop this work, the new owner does it`);
