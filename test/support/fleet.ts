// Several processes of one installation (one configuration) that are killed, frozen, sent away and started again.
import { type NodeProcess, startProcess } from './node-process.js';

export interface Member {
  /** As `--roles` wants them. */
  readonly roles: string;
  /** Where it answers; default: as the configuration says. A gateway beside others needs its own. */
  readonly port?: number;
  /** Begins outside, until `enter`. */
  readonly away?: boolean;
}

export interface Fleet {
  /** SIGKILL to the member, which is started again at once. Resolves when the old process is gone. */
  crash(member: number): Promise<void>;
  /** Ends the member, which stays away until `enter`. Resolves with its exit code when it is gone. */
  leave(member: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
  /** Starts a member that is away. */
  enter(member: number): void;
  /** SIGSTOP: it stands still in the middle of whatever it does, and knows nothing of it when `thaw` lets it go on. */
  freeze(member: number): void;
  thaw(member: number): void;
  /** Of the member's process; undefined while it is away. */
  pid(member: number): number | undefined;
  /** SIGTERM to all that run; resolves with their exit codes. */
  stop(): Promise<readonly (number | null)[]>;
  /** What the members wrote to standard error since their last start. */
  errors(): string;
  /** Their roles. */
  readonly members: readonly string[];
  /** Processes that ended without being told to: `<roles>: <code>`. */
  readonly deaths: readonly string[];
}

/** One process for each entry of `members`, which says its roles. */
export const startFleet = (config: string, members: readonly (string | Member)[], env: Readonly<Record<string, string>> = {}): Fleet => {
  const expected = new Set<NodeProcess>();
  const deaths: string[] = [];
  const roster = members.map((member): Member => (typeof member === 'string' ? { roles: member } : member));
  const start = ({ roles, port }: Member): NodeProcess => {
    const args = ['--roles', roles, ...(port === undefined ? [] : ['--port', String(port)])];
    const node = startProcess(config, args, { DATS_LOG_LEVEL: 'warn', ...env });
    void node.exited.then(({ code, signal }) => {
      if (!expected.has(node)) deaths.push(`${roles}: code ${code}, signal ${signal}: ${node.errors().slice(-2_000)}`);
    });
    return node;
  };
  const nodes = roster.map((member) => (member.away ? undefined : start(member)));
  const running = (member: number): NodeProcess => {
    const node = nodes[member];
    if (node === undefined) throw new Error(`member ${member} (${roster[member]?.roles}) is away`);
    return node;
  };
  const end = async (node: NodeProcess, signal: NodeJS.Signals): Promise<number | null> => {
    expected.add(node);
    await node.kill(signal);
    return (await node.exited).code;
  };
  return {
    members: roster.map(({ roles }) => roles),
    deaths,
    errors: () => nodes.map((node, i) => `--- ${roster[i]!.roles}\n${node?.errors() ?? '(away)'}`).join('\n'),
    async crash(member) {
      await end(running(member), 'SIGKILL');
      nodes[member] = start(roster[member]!);
    },
    async leave(member, signal) {
      const node = running(member);
      nodes[member] = undefined;
      return end(node, signal);
    },
    enter(member) {
      nodes[member] ??= start(roster[member]!);
    },
    freeze: (member) => void process.kill(running(member).pid, 'SIGSTOP'),
    thaw: (member) => void process.kill(running(member).pid, 'SIGCONT'),
    pid: (member) => nodes[member]?.pid,
    stop: () => Promise.all(nodes.flatMap((node) => (node === undefined ? [] : [end(node, 'SIGTERM')]))),
  };
};
