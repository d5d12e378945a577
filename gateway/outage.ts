// Something the gateway can do without for a while: its absence is told once, and its return.
import type { Logger } from 'pino';

export interface Outage {
  failed(error: unknown): void;
  worked(): void;
}

/** @param consequence what happens meanwhile, for people. */
export const openOutage = (logger: Logger, what: string, consequence: string): Outage => {
  let since: number | undefined;
  return {
    failed: (error) => {
      if (since !== undefined) return;
      since = performance.now();
      logger.warn({ err: error }, `${what}: does not answer; ${consequence}`);
    },
    worked: () => {
      if (since === undefined) return;
      logger.info({ away_ms: Math.round(performance.now() - since) }, `${what}: answers again`);
      since = undefined;
    },
  };
};
