/** What of a child process (node:child_process) is needed to end it. */
export interface Killable {
  readonly pid?: number | undefined;
  kill(signal: NodeJS.Signals): boolean;
}

/**
 * `child.kill`, for one that was started. One that could not be (no such program) has no process, and until its error is told Node 20.20 and others send the signal to
 * whatever number lies in that memory: to a stranger, to the own group (0), or to every process there is (-1).
 *
 * @returns whether the signal was sent
 */
export const killChild = (child: Killable, signal: NodeJS.Signals): boolean => child.pid !== undefined && child.kill(signal);
