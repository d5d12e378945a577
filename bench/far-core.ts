// The forked stand-in for a core on another machine: started, cut off, reached again, stopped.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from './children.js';

const APP = fileURLToPath(new URL('./far-core-app.js', import.meta.url));

export interface FarCore {
  readonly url: string;
  readonly pid: number;
  /** Nobody reaches it, and whoever did is cut off. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  stop(): Promise<void>;
}

/** @throws Error when it cannot start */
export const startFarCore = async (): Promise<FarCore> => {
  const child = endsWithUs(fork(APP, []));
  const died = once(child, 'exit').then(() => Promise.reject(new Error('the stand-in for the core ended')));
  died.catch(() => {});
  const [{ port }] = (await Promise.race([died, once(child, 'message')])) as [{ readonly port: number }];
  const change = async (line: 'cut' | 'mended'): Promise<void> => {
    const done = once(child, 'message');
    child.send({ line });
    await Promise.race([died, done]);
  };
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    cut: () => change('cut'),
    mend: () => change('mended'),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
};
