// The forked member of a group as R2 sees it: started, watched, let go in order or killed.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killChild } from '../schemas/index.js';
import { endsWithUs } from './children.js';
import { monotonicMs } from './completions.js';
import type { MemberSettings } from './rebalance-ledger.js';

const MEMBER_APP = fileURLToPath(new URL('./member-app.js', import.meta.url));
const START_MS = 30_000;
const LEAVE_MS = 30_000;

interface Message {
  readonly joining?: true;
  readonly owned?: readonly number[];
  readonly said?: string;
}

/** What a member said last is kept, so many lines. */
const SAID_LINES = 5;

export interface Member {
  /** Monotonic milliseconds at which it asked to join. */
  readonly joinedAt: number;
  /** Partitions it owns, as it said last. */
  owned(): readonly number[];
  /** What went wrong there, the last lines. */
  said(): readonly string[];
  /** Why it ended when nobody had asked for that; undefined while all is well. */
  died(): string | undefined;
  /** In order. Resolves when the process is gone. */
  leave(): Promise<void>;
  /** SIGKILL. Resolves when the process is gone. */
  kill(): Promise<void>;
}

/** Resolves when it is about to join. @throws Error when it cannot start. */
export const startMember = async (settings: MemberSettings): Promise<Member> => {
  const env = { ...process.env, BENCH_MEMBER: JSON.stringify(settings), NODE_ENV: 'production' };
  const child = endsWithUs(fork(MEMBER_APP, [], { env }));
  let owned: readonly number[] = [];
  let said: readonly string[] = [];
  let wanted = true;
  let died: string | undefined;
  const gone = once(child, 'exit').then(([code, signal]) => {
    if (wanted) died = `${settings.node} ended by itself (${signal ?? code})`;
  });
  const joining = new Promise<number>((resolve) => {
    child.on('message', (message: Message) => {
      if (message.joining) resolve(monotonicMs());
      if (message.owned) owned = message.owned;
      if (message.said) said = [...said, message.said].slice(-SAID_LINES);
    });
  });
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`${settings.node} did not join within ${START_MS} ms`)), START_MS).unref();
  });
  const joinedAt = await Promise.race([joining, late, gone.then(() => Promise.reject(new Error(died)))]);
  const kill = async (): Promise<void> => {
    wanted = false;
    killChild(child, 'SIGKILL');
    await gone;
  };
  return {
    joinedAt,
    owned: () => owned,
    said: () => said,
    died: () => died,
    kill,
    leave: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      wanted = false;
      child.send({ leave: true });
      const timer = setTimeout(() => void kill(), LEAVE_MS);
      await gone;
      clearTimeout(timer);
    },
  };
};
