// Several processes of one node (one data folder, one configuration) that are killed and started again.
import { type NodeProcess, startProcess } from './node-process.js';

export interface Fleet {
  /** SIGKILL to the member, which is started again at once. Resolves when the old process is gone. */
  crash(member: number): Promise<void>;
  /** SIGTERM to all; resolves with their exit codes. */
  stop(): Promise<readonly (number | null)[]>;
  /** What the members wrote to standard error since their last start. */
  errors(): string;
  readonly members: readonly string[];
  /** Processes that ended without being told to: `<roles>: <code>`. */
  readonly deaths: readonly string[];
}

/** One process for each entry of `members`, which says its roles. */
export const startFleet = (config: string, members: readonly string[]): Fleet => {
  const expected = new Set<NodeProcess>();
  const deaths: string[] = [];
  const start = (roles: string): NodeProcess => {
    const node = startProcess(config, ['--roles', roles], { DATS_LOG_LEVEL: 'warn' });
    void node.exited.then(({ code, signal }) => {
      if (!expected.has(node)) deaths.push(`${roles}: code ${code}, signal ${signal}: ${node.errors().slice(-2_000)}`);
    });
    return node;
  };
  const nodes = members.map(start);
  return {
    members,
    deaths,
    errors: () => nodes.map((node, i) => `--- ${members[i]}\n${node.errors()}`).join('\n'),
    async crash(member) {
      const node = nodes[member]!;
      expected.add(node);
      await node.kill('SIGKILL');
      nodes[member] = start(members[member]!);
    },
    async stop() {
      for (const node of nodes) expected.add(node);
      await Promise.all(nodes.map((node) => node.kill('SIGTERM')));
      return Promise.all(nodes.map(async (node) => (await node.exited).code));
    },
  };
};
