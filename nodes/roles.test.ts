import { describe, expect, it } from 'vitest';
import { Fault, LANES } from '../schemas/index.js';
import { ALL_ROLES, describeRoles, parseRoles } from './roles.js';

describe('roles', () => {
  it('all is everything', () => {
    expect(parseRoles('all')).toEqual(ALL_ROLES);
    expect(parseRoles('gateway,deciders,workers')).toEqual({ gateway: true, deciders: true, workers: [...LANES] });
  });

  it('workers may take some lanes only', () => {
    const roles = parseRoles('workers:small+qa, gateway');
    expect(roles).toEqual({ gateway: true, deciders: false, workers: ['small', 'qa'] });
    expect(describeRoles(roles)).toBe('gateway, workers:small+qa');
  });

  it.each(['', 'boss', 'workers:tiny', 'gateway:small', 'gateway,'])('refuses "%s" and says what there is', (text) => {
    expect(() => parseRoles(text)).toThrowError(Fault);
    expect(() => parseRoles(text)).toThrowError(/roles are "all", or/);
  });
});
