// What a process does: all roles in one, or some of them, several processes sharing one machine.
import { Fault, LANES, type Lane } from '../schemas/index.js';

export interface Roles {
  readonly gateway: boolean;
  readonly deciders: boolean;
  /** Lanes whose work this process does. */
  readonly workers: readonly Lane[];
  /** Without the deciders, their ledger of budgets alone: for a process that asks models where no other runs. */
  readonly ledger?: boolean;
}

export const ALL_ROLES: Roles = { gateway: true, deciders: true, workers: LANES };

/**
 * `all`, or a comma-separated list of `gateway`, `deciders`, `workers`, `workers:small+qa`.
 * @throws Fault terminal `bad_roles`
 */
export const parseRoles = (text: string): Roles => {
  const refuse = (what: string): never => {
    throw new Fault(
      'terminal',
      'bad_roles',
      `${what}; roles are "all", or a comma-separated list of gateway, deciders, workers, workers:${LANES.join('+')}`,
    );
  };
  const lanes = new Set<Lane>();
  let gateway = false;
  let deciders = false;
  for (const word of text.split(',').map((part) => part.trim())) {
    const [role, list] = word.split(':', 2) as [string, string | undefined];
    if (list !== undefined && role !== 'workers') refuse(`"${word}": only workers take lanes`);
    if (role === 'all') return ALL_ROLES;
    if (role === 'gateway') gateway = true;
    else if (role === 'deciders') deciders = true;
    else if (role === 'workers')
      for (const lane of list === undefined ? LANES : list.split('+'))
        if (LANES.includes(lane as Lane)) lanes.add(lane as Lane);
        else refuse(`"${lane}" is no lane`);
    else refuse(word === '' ? 'an empty role' : `"${word}" is no role`);
  }
  return { gateway, deciders, workers: [...lanes] };
};

export const describeRoles = (roles: Roles): string =>
  [roles.gateway ? 'gateway' : '', roles.deciders ? 'deciders' : '', roles.workers.length > 0 ? `workers:${roles.workers.join('+')}` : '']
    .filter(Boolean)
    .join(', ');
