// Structured logs: one JSON line an event on standard error, so that standard output stays for what the user asked for.
import { type Logger, pino } from 'pino';

export const openLogger = (level: string): Logger =>
  pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: false }));

export const silentLogger = (): Logger => pino({ level: 'silent' });
